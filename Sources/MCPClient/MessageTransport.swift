import CurlTransport
import NIOCore

/// Transport of an exchange: an engine, or in tests one that fails in ways in which an engine should not.
protocol MessageTransport {
    /// Starts a request, like `CurlEngine.start`.
    @discardableResult
    func start(
        _ request: CurlRequest, on eventLoop: any EventLoop, receiver: any CurlTransferReceiver
    ) -> CurlTransfer
}

extension CurlEngine: MessageTransport {}
