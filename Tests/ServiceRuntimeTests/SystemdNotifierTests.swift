import Foundation
import Testing

@testable import ServiceRuntime

@Suite struct SystemdNotifierTests {
    private static func names() -> [String] {
        let unique = "service-runtime-\(UInt64.random(in: 0 ... .max))"
        return [NSTemporaryDirectory() + unique, "@" + unique]
    }

    @Test(arguments: names())
    func eachMessageIsOneDatagram(_ name: String) async throws {
        let socket = try NotifySocket(name)
        let notifier = SystemdNotifier(environment: ["NOTIFY_SOCKET": name], processID: 1)
        #expect(notifier.send(.ready))
        #expect(await socket.next() == "READY=1")
        #expect(notifier.send(.reloading))
        let reloading = try #require(await socket.next())
        #expect(reloading.wholeMatch(of: /RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*/) != nil, "\(reloading)")
        #expect(notifier.send(.watchdog))
        #expect(await socket.next() == "WATCHDOG=1")
        #expect(notifier.send(.status("two\nlines")))
        #expect(await socket.next() == "STATUS=twolines")
        #expect(notifier.send(.stopping))
        #expect(await socket.next() == "STOPPING=1")
        #expect(socket.isEmpty)
    }

    @Test(arguments: [
        [:], ["NOTIFY_SOCKET": ""], ["NOTIFY_SOCKET": "relative/path"], ["NOTIFY_SOCKET": "vsock:2:1234"],
        ["NOTIFY_SOCKET": "/" + String(repeating: "x", count: 200)], ["NOTIFY_SOCKET": "/nobody/listens/here"],
    ])
    func withoutAUsableSocketNothingHappens(_ environment: [String: String]) {
        #expect(!SystemdNotifier(environment: environment, processID: 1).send(.ready))
    }

    @Test func theWatchdogIsForTheProcessThatItNames() {
        func interval(_ more: [String: String]) -> Duration? {
            let environment = ["NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "3000000"]
            return SystemdNotifier(environment: environment.merging(more) { $1 }, processID: 42).watchdogInterval
        }
        #expect(interval([:]) == .seconds(3))
        #expect(interval(["WATCHDOG_PID": "42"]) == .seconds(3))
        #expect(interval(["WATCHDOG_PID": "43"]) == nil)
        #expect(interval(["WATCHDOG_USEC": "0"]) == nil)
        #expect(interval(["WATCHDOG_USEC": "soon"]) == nil)
        #expect(interval(["NOTIFY_SOCKET": "none"]) == nil)
    }
}
