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
            let addresses = make.output.matches(
                of: /^  (.*?)  +(http:\/\/127\.0\.0\.1:\d+\/.*)$/.anchorsMatchLineEndings()
            )
            .map { (String($0.1), String($0.2)) }
            #expect(addresses.map(\.0) == ["Page", "Chat API", "MCP", "Status page"])
            for (name, url) in addresses where name.hasSuffix("age") {
                let answer = try await HTTPTestClient(url).get("")
                #expect(answer.status == 200 && answer.text.contains("<html"), "\(url)")
            }
            let login = try #require(make.output.firstMatch(of: /Logins +alice (\S+)\n +bob (\S+)\n/))
            let page = try #require(addresses.first?.1)
            let session = try await HTTPTestClient(page).post(
                "auth/login", json: ["username": "alice", "password": .string(String(login.1))])
            #expect(session.cookie("sessionid") != nil, "\(make.output)")
            let kept = try FileManager.default.attributesOfItem(atPath: directory.path("demo/logins"))
            #expect(kept[.posixPermissions] as? Int == 0o600)

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

        /// A compiler that says what Swift's says; its first argument after `build` is not looked at.
        private static let compiler = """
            #!/bin/sh
            echo "Computing $*"
            echo "Fetching https://github.com/apple/swift-nio"
            printf '[12/345] Compiling GatewayCore '; sleep 1.2; echo Gateway.swift
            [ -z "$FAIL" ] || { echo "Gateway.swift:3:5: error: it does not compile"; exit 1; }
            echo "Build complete! $*"
            """

        private func build(_ environment: [String: String]) async throws -> ChildProcess.Finished {
            let directory = try TemporaryDirectory("build")
            let compiler = try directory.write(Self.compiler, to: "swift")
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: compiler)
            let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
            let settings = ["PATH": directory.url.path + ":" + path, "PROGRESS_INTERVAL": "0"]
            return try await ChildProcess.run(
                .init(
                    Checkout.path("deploy/local/build"), ["release"],
                    environment: settings.merging(environment) { $1 }, directory: directory.url.path))
        }

        @Test func theBuildTellsWhatItDoesAndHowFarItIs() async throws {
            let build = try await build([:])
            #expect(build.succeeded, "\(build.error)")
            let text = build.output
            #expect(text.contains("Building gateway and tool-server (release)\n"))
            #expect(text.contains("dependencies, Fetching https://github.com/apple/swift-nio\n"), "\(text)")
            #expect(text.contains(": 12 of 345 steps, Compiling GatewayCore Gateway.swift\n"), "\(text)")
            #expect(text.contains("  done in "))
            // As what is packed and what is measured.
            #expect(text.contains("Computing build -c release --static-swift-stdlib -Xswiftc "), "\(text)")
        }

        @Test func aBuildThatFailsShowsItsErrors() async throws {
            let build = try await build(["FAIL": "1"])
            #expect(build.exit == .status(1))
            #expect(build.errorLines.first == "Gateway.swift:3:5: error: it does not compile")
            #expect(build.error.contains(".build/build.log"))
            #expect(!build.output.contains("done in"))
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
