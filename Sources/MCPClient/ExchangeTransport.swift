import CurlTransport
import NIOCore

/// What carries an exchange: an engine, or in tests something that fails as an engine never should.
protocol ExchangeTransport {
    /// As `CurlEngine.start`.
    @discardableResult
    func start(
        _ request: CurlRequest, on eventLoop: any EventLoop, receiver: any CurlTransferReceiver
    ) -> CurlTransfer
}

extension CurlEngine: ExchangeTransport {}
