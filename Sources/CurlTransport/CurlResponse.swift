package import NIOCore

/// A whole response.
package struct CurlResponse: Sendable {
    /// HTTP status.
    package var status: Int
    /// The final response's; interim (1xx) responses and trailers are skipped.
    package var headers: CurlHeaders
    /// Empty where the receiver got it as it came. Transfer coding removed; content coding kept unless the request
    /// said `decodesContent`.
    package var body: ByteBuffer
    /// Durations of the transfer's phases.
    package var timings: CurlTimings

    /// Describes a response.
    package init(
        status: Int, headers: CurlHeaders = [], body: ByteBuffer = ByteBuffer(), timings: CurlTimings = CurlTimings()
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.timings = timings
    }
}

/// Times since the engine began with the transfer, in microseconds' precision.
package struct CurlTimings: Sendable, Hashable {
    /// Until the connection was there (zero when it was reused).
    package var connect: Duration
    /// Until the first byte of the response.
    package var firstByte: Duration
    /// Duration of the whole transfer.
    package var total: Duration
    /// Use of a connection that an earlier transfer had opened.
    package var reusedConnection: Bool

    /// Describes the phases of a transfer.
    package init(
        connect: Duration = .zero, firstByte: Duration = .zero, total: Duration = .zero, reusedConnection: Bool = false
    ) {
        self.connect = connect
        self.firstByte = firstByte
        self.total = total
        self.reusedConnection = reusedConnection
    }
}
