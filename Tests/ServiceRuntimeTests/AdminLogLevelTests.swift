import JSON
import Logging
import Observability
import Testing

@testable import ServiceRuntime

@Suite struct AdminLogLevelTests {
    @Test func theLevelIsToldAndChanged() {
        let log = LogOutput(level: .info)
        let endpoint = AdminLogLevel(log, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(endpoint.answer("GET", body: "").body == ["level": "info"])
        #expect(endpoint.answer("PUT", body: "debug\n").body == ["level": "debug"])
        #expect(log.level == .debug)
        #expect(endpoint.answer("PUT", body: #""warning""#).status == 200)
        #expect(log.level == .warning)
        let refused = endpoint.answer("PUT", body: "loud")
        #expect(refused.status == 400)
        #expect(refused.body["error"]?.string?.contains("trace") == true)
        #expect(endpoint.answer("POST", body: "debug").allow == "GET, HEAD, PUT")
        #expect(log.level == .warning)
    }
}
