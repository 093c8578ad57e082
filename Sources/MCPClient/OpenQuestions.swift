import CurlTransport
import Synchronization

/// The questions of a server on one stream whose answers are not delivered yet.
///
/// Each answer is a request of its own, so a server that asks without end would take every descriptor.
final class OpenQuestions {
    /// Open questions on one stream at most.
    static let streamLimit = 16
    /// Open questions of one upstream, on all its streams, at most.
    static let upstreamLimit = 256

    var count = 0
}

/// Notes that an answer to a question was delivered, or could not be.
final class AnswerReceiver: CurlTransferReceiver {
    private let stream: OpenQuestions
    private let upstream: MCPUpstream

    init(_ stream: OpenQuestions, _ upstream: MCPUpstream) {
        self.stream = stream
        self.upstream = upstream
    }

    func transferDone(_ result: Result<CurlResponse, CurlError>) {
        stream.count -= 1
        upstream.openQuestions.subtract(1, ordering: .relaxed)
    }
}
