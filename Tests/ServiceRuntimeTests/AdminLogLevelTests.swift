import JSON
import Logging
import Synchronization
import Testing

@testable import ServiceRuntime

@Suite struct AdminLogLevelTests {
    @Test func theLevelIsToldAndChanged() {
        let level = Mutex(Logger.Level.info)
        let endpoint = AdminLogLevel(
            get: { level.withLock { $0 } }, set: { new in level.withLock { $0 = new } },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(endpoint.answer("GET", body: "").body == ["level": "info"])
        #expect(endpoint.answer("PUT", body: "debug\n").body == ["level": "debug"])
        #expect(level.withLock { $0 } == .debug)
        #expect(endpoint.answer("PUT", body: #""warning""#).status == 200)
        #expect(level.withLock { $0 } == .warning)
        let refused = endpoint.answer("PUT", body: "loud")
        #expect(refused.status == 400)
        #expect(refused.body["error"]?.string?.contains("trace") == true)
        #expect(endpoint.answer("POST", body: "debug").allow == "GET, HEAD, PUT")
        #expect(level.withLock { $0 } == .warning)
    }
}
