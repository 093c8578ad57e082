package import NIOCore
package import ProcessMemory

/// A whole response.
package struct CurlResponse: Sendable {
    /// HTTP status.
    package var status: Int
    /// Headers of the final response; interim (1xx) responses and trailers are skipped.
    package var headers: CurlHeaders
    /// Body; empty where the receiver got it as it arrived. Transfer coding is removed; content coding is kept unless
    /// the request set `decodesContent`.
    package var body: ByteBuffer
    /// Durations of the transfer's phases.
    package var timings: CurlTimings
    /// Memory that the body has drawn; nil for a small body. A copy of the body must keep this too.
    package var reservation: MemoryReservation?

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

/// Times since the engine began the transfer, with microsecond precision.
package struct CurlTimings: Sendable, Hashable {
    /// Time until the connection was open (zero when it was reused).
    package var connect: Duration
    /// Time until the first byte of the response.
    package var firstByte: Duration
    /// Duration of the whole transfer.
    package var total: Duration
    /// True if a connection of an earlier transfer was reused.
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
