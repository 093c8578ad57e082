import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// A standard error that is not there, or whose reader is gone, ends neither process.
    @Suite struct StandardErrorGone {
        /// How a shell takes it away, and what the process then has.
        private static let ways = [("2>&-", "/dev/null"), ("2> >(:)", "pipe:")]

        private func serves(
            _ product: BuiltProduct, _ arguments: [String], _ way: (redirection: String, kind: String),
            socket: String, path: String
        ) async throws {
            let process = try await ChildProcess.start(
                .init("/bin/bash", ["-c", "exec \"$0\" \"$@\" \(way.redirection)", product.path] + arguments))
            var answers: [String] = []
            try await eventually(within: .seconds(30)) {
                let curl = try await ChildProcess.run(
                    .init("curl", ["-s", "--unix-socket", socket, "-w", "%{http_code}", "http://localhost\(path)"]))
                if curl.succeeded { answers.append(curl.output) }
                return answers.count == 3 || process.exit != nil
            }
            #expect(answers.count == 3, "\(process.log)")
            #expect(process.exit == nil)
            let standardError = try FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/\(process.processID)/fd/2")
            #expect(standardError.hasPrefix(way.kind))
            #expect(try await process.stop() == .status(0))
        }

        @Test(arguments: ways) func theGatewayServes(way: (String, String)) async throws {
            let directory = try TemporaryDirectory("stderr")
            let socket = directory.path("gateway.sock")
            try await serves(
                .gateway,
                [
                    "--config", Checkout.path("gateway.json"), "--listen", "unix:\(socket)", "--admin", "off",
                    "--upstream", "http://127.0.0.1:1/mcp/",
                ], way, socket: socket, path: "/none")
        }

        @Test(arguments: ways) func theToolServerServes(way: (String, String)) async throws {
            let directory = try TemporaryDirectory("stderr")
            let socket = directory.path("admin.sock")
            try await serves(
                .toolServer,
                [
                    "--transport", "http", "--port", "0", "--admin", "unix:\(socket)", "--database", ":memory:",
                ], way, socket: socket, path: "/healthz")
        }
    }
}
