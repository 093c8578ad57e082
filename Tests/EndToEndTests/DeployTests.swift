import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// What `deploy/` ships besides nginx, as far as a machine without systemd as its init can tell.
    @Suite struct Deploy {
        private static let units = ["chat-gateway", "chat-tool-server"]
        private static let activate = "/usr/bin/systemd-socket-activate"
        private static let analyze = "/usr/bin/systemd-analyze"

        @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: analyze)), arguments: units)
        func unitsAreValidAndSandboxed(_ unit: String) async throws {
            let directory = try TemporaryDirectory("units")
            // The executables are not installed on the machine that tests.
            let text = try Checkout.text("deploy/systemd/\(unit).service")
                .replacing("/usr/local/bin/", with: BuiltProduct.directory.path + "/")
            try directory.write(text, to: "\(unit).service")
            #expect(text.contains("Type=notify") && text.contains("WatchdogSec="))
            let socket = try Checkout.text("deploy/systemd/\(unit).socket")
            #expect(socket.contains("FileDescriptorName=main"))
            try directory.write(socket, to: "\(unit).socket")
            let verify = try await ChildProcess.run(
                .init(
                    Self.analyze, ["verify", "--man=no", directory.path("\(unit).service")],
                    environment: ["SYSTEMD_UNIT_PATH": directory.url.path + ":"]))
            let complaints = verify.errorLines.filter { $0.contains(unit) && !$0.contains("not found") }
            #expect(complaints.isEmpty, "\(verify.error)")
            let security = try await ChildProcess.run(
                .init(
                    Self.analyze,
                    ["security", "--offline=true", "--threshold=25", directory.path("\(unit).service")]))
            #expect(security.succeeded, "\(security.output)")
        }

        @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: activate)))
        func theGatewayTakesTheSocketThatSystemdHoldsOpen() async throws {
            let stack = try RunningStack.current
            #expect(try Checkout.text("deploy/systemd/chat-gateway.socket").contains("FileDescriptorName=main"))
            let port = try freePort()
            let gateway = try await ChildProcess.start(
                .init(
                    Self.activate,
                    [
                        "--listen=127.0.0.1:\(port)", "--fdname=main", BuiltProduct.gateway.path,
                        "--config", Checkout.path("gateway.json"), "--admin", "127.0.0.1:0",
                        "--upstream", stack.upstream,
                    ]))
            // The first connection starts the gateway and waits in the socket's queue until it accepts.
            let isOpen = await eventually { (try? RawSocketClient(port: port)) != nil }
            try #require(isOpen, "\(gateway.log)")
            let answer = try await HTTPTestClient("http://127.0.0.1:\(port)").chat(Recovery.search)
            #expect(answer.status == 200, "\(gateway.log)")
            #expect(try await gateway.stop() == .status(0))
        }

        @Test func whatTheThreatModelRefersToExists() throws {
            let model = try Checkout.text("deploy/THREAT_MODEL.md")
            let tests = try #require(FileManager.default.enumerator(atPath: Checkout.path("Tests")))
                .compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }
            // Every other piece between backticks is code.
            let code = model.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                .filter { $0.offset % 2 == 1 }.map { String($0.element) }
            let named = code.filter { $0.hasSuffix("Tests") }
            #expect(named.count > 30)
            for name in named {
                let isFile = tests.contains { $0 == name + ".swift" || $0.hasSuffix("/\(name).swift") }
                let isSuite =
                    try !isFile && tests.contains { try Checkout.text("Tests/\($0)").contains("struct \(name) ") }
                let isTarget = FileManager.default.fileExists(atPath: Checkout.path("Tests/\(name)"))
                #expect(isFile || isSuite || isTarget, "\(name)")
            }
        }

        @Test func theReadmeNamesEveryFile() throws {
            let readme = try Checkout.text("deploy/README.md")
            #expect(readme.contains("`THREAT_MODEL.md`"))
            let root = Checkout.root.appending(path: "deploy")
            let files = try #require(FileManager.default.enumerator(atPath: root.path)).compactMap { $0 as? String }
            for file in files where file.contains("/") {
                var isDirectory: ObjCBool = false
                _ = FileManager.default.fileExists(atPath: root.appending(path: file).path, isDirectory: &isDirectory)
                guard !isDirectory.boolValue else { continue }
                let parts = file.split(separator: "/")
                let isNamed = readme.contains(file) || readme.contains(parts.dropLast().joined(separator: "/") + "/*")
                #expect(isNamed, "\(file)")
            }
        }
    }
}
