import Foundation
import TestSupport
import Testing

extension EndToEnd {
    /// `make run` as a newcomer uses it, on executables that are already built.
    @Suite struct MakeRun {
        @Test func makeAlonePrintsItsTargets() async throws {
            let help = try await ChildProcess.run(.init("make", directory: Checkout.root.path))
            #expect(help.succeeded, "\(help.error)")
            for target in ["run", "test", "dev", "format", "lint"] { #expect(help.output.contains("make \(target)")) }
        }

        @Test func itSeedsStartsPrintsWhatToTryAndStopsOnControlC() async throws {
            let directory = try TemporaryDirectory("make-run")
            let make = try await ChildProcess.start(
                .init(
                    "make",
                    [
                        "run", "BIN=\(BuiltProduct.directory.path)", "LISTEN=127.0.0.1:0", "ADMIN=127.0.0.1:0",
                        "TOOLS_PORT=0", "TOOLS_ADMIN=127.0.0.1:0", "DATABASE=\(directory.path("demo/chat.sqlite"))",
                    ], directory: Checkout.root.path, deathSignal: "TERM"))
            let isReady = await eventually(within: .seconds(60)) {
                make.output.contains("Ctrl-C") || make.exit != nil
            }
            try #require(isReady && make.exit == nil, "\(make.log)")
            #expect(make.output.contains("alice"), "the demo users' passwords are shown when they are made")
            let page = try #require(make.output.firstMatch(of: /http:\/\/127\.0\.0\.1:\d+\//)).output
            #expect(page.count > 0)

            let line = try #require(make.output.split(separator: "\n").first { $0.contains("curl ") })
            let curl = try await ChildProcess.run(.init("sh", ["-c", String(line)]))
            #expect(curl.output.contains(#""name":"Urgent Q2""#), "\(line)\n\(curl.output)\(curl.error)")

            let started = Self.descendants(of: make.processID)
            #expect(started.count >= 3)
            make.signalGroup(2)
            _ = try await make.exit(within: .seconds(10))
            let gone = await eventually { started.allSatisfy { !Self.isRunning($0) } }
            #expect(gone, "\(make.log)")
        }

        private static func descendants(of process: Int32) -> [Int32] {
            let path = "/proc/\(process)/task/\(process)/children"
            let children = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            return children.split(separator: " ").compactMap { Int32($0) }.flatMap { [$0] + descendants(of: $0) }
        }

        private static func isRunning(_ process: Int32) -> Bool {
            guard let state = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else {
                return false
            }
            return !state.contains(") Z ")
        }
    }
}
