import Synchronization
import TestSupport
import Testing

@testable import CurlTransport

/// An engine that may not connect everywhere asks with the address that the connection is made to.
@Suite struct AddressPolicyTests {
    @Test(arguments: ["127.0.0.1", "localhost"])
    func anAddressThatIsNotAllowedGetsNoConnection(host: String) async throws {
        let asked = Mutex<[[UInt8]]>([])
        let policy: @Sendable ([UInt8]) -> Bool = { address in
            asked.withLock { $0.append(address) }
            return false
        }
        try await withServer(CurlEngineConfiguration(allowsAddress: policy), { _ in .json("{}") }) { engine, server in
            await #expect(throws: CurlError.self) {
                try await engine.execute(CurlRequest(url: "http://\(host):\(server.port)/"))
            }
            #expect(engine.statistics.openedConnections == 0)
        }
        #expect(asked.withLock { $0.contains([127, 0, 0, 1]) })
    }
}
