import HTTPServer
import Testing

struct SystemdSocketsTests {
    @Test func readsNamedSockets() {
        let sockets = SystemdSockets(
            environment: ["LISTEN_PID": "42", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "main:admin"], processID: 42)
        #expect(sockets.sockets.map(\.name) == ["main", "admin", "unknown"])
        #expect(sockets.addresses(named: "admin") == [.inherited(fileDescriptor: 4)])
        #expect(sockets.addresses.count == 3)
    }

    @Test(arguments: [
        [:], ["LISTEN_FDS": "1"], ["LISTEN_PID": "41", "LISTEN_FDS": "1"], ["LISTEN_PID": "42", "LISTEN_FDS": "x"],
        ["LISTEN_PID": "42", "LISTEN_FDS": "0"], ["LISTEN_PID": "42", "LISTEN_FDS": "-1"],
        ["LISTEN_PID": "42", "LISTEN_FDS": "99999999"],
    ])
    func takesNothingThatIsNotMeantForThisProcess(environment: [String: String]) {
        #expect(SystemdSockets(environment: environment, processID: 42).sockets.isEmpty)
    }
}
