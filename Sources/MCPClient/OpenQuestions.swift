import CurlTransport
import Synchronization

/// Questions of a server on one stream whose answers have not been delivered.
///
/// Each answer is a request of its own, so a server that asks without end would exhaust the descriptors.
final class OpenQuestions {
    /// Largest number of open questions on one stream.
    static let streamLimit = 16
    /// Largest number of open questions of one upstream, on all its streams.
    static let upstreamLimit = 256

    var count = 0
}

/// Receiver that counts a question as closed once its answer was delivered, or could not be.
final class QuestionReceiver: CurlTransferReceiver {
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
