import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// A process that may open few files refuses the connections for which it has no room, and says so at its start.
    @Suite struct DescriptorLimits {
        private static let gateway = [
            "--config", Checkout.path("gateway.json"), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
            "--upstream", "http://127.0.0.1:1/mcp/",
        ]
        private static let toolServer = [
            "--transport", "http", "--port", "0", "--admin", "127.0.0.1:0", "--database", ":memory:",
        ]

        private func start(_ product: BuiltProduct, _ limits: String) async throws -> ChildProcess {
            let arguments = product == .gateway ? Self.gateway : Self.toolServer
            let process = try await ChildProcess.start(
                .init("/bin/bash", ["-c", "\(limits) && exec \"$0\" \"$@\"", product.path] + arguments))
            let listens = await eventually(within: .seconds(30)) {
                process.address(of: "main") != nil || process.exit != nil
            }
            guard listens, process.exit == nil else { throw ProcessError("does not listen\n\(process.log)") }
            return process
        }

        @Test(arguments: [BuiltProduct.gateway, .toolServer])
        func theSoftLimitIsRaised(_ product: BuiltProduct) async throws {
            let process = try await start(product, "ulimit -S -n 256")
            let limits = try String(contentsOfFile: "/proc/\(process.processID)/limits", encoding: .utf8)
            let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max open files") })
            let soft = try #require(line.split(separator: " ").dropFirst(3).first.flatMap { Int($0) })
            #expect(soft > 10_000, "\(line)")
            #expect(!process.log.contains("fewer connections"))
            #expect(try await process.stop(within: .seconds(20)) == .status(0))
        }

        @Test(arguments: [BuiltProduct.gateway, .toolServer])
        func connectionsBeyondAHardLimitAreRefusedNotLeft(_ product: BuiltProduct) async throws {
            let process = try await start(product, "ulimit -n 256")
            #expect(process.log.components(separatedBy: "fewer connections than configured").count == 2)
            let port = try #require(process.address(of: "main")?.split(separator: ":").last.flatMap { Int($0) })
            // More than fit, and than are told that there are too many.
            let idle = try (0..<300).map { _ in try RawSocketClient(port: port) }
            let client = try RawSocketClient(port: port)
            await client.send("GET /none HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            // Refused with 503, or beyond another eighth closed: in no case left without an end.
            let answer = await client.receiveAll()
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 503 "), "\(answer)")
            #expect(!process.log.contains("connection could not be accepted"))
            withExtendedLifetime(idle) {}
            #expect(try await process.stop(within: .seconds(20)) == .status(0))
        }
    }
}
