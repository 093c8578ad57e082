package import HTTPSyntax
package import NIOCore
package import NIOHTTP1
package import ProcessMemory

/// A complete request, for handlers that run as a task.
package struct AsyncHTTPRequest: Sendable {
    /// Head of the request; see `HTTPExchange.head`.
    package let head: HTTPRequestHead
    /// Address of the peer; see `HTTPExchange.remoteAddress`.
    package let remoteAddress: SocketAddress?
    /// Whole body, at most the handler's `bodyLimit` bytes.
    package let body: ByteBuffer
    /// Time at which the first byte of the request was read.
    package let start: NIODeadline
    /// Name of the listener; see `HTTPServerConfiguration.name`.
    package let listenerName: String
    /// Memory that the body has drawn, for as long as the task has it; nil for a small body.
    package let reservation: MemoryReservation?

    /// Creates a request, for tests of handlers.
    package init(
        head: HTTPRequestHead, remoteAddress: SocketAddress? = nil, body: ByteBuffer = ByteBuffer(),
        start: NIODeadline = .now(), listenerName: String = "main", reservation: MemoryReservation? = nil
    ) {
        self.head = head
        self.remoteAddress = remoteAddress
        self.body = body
        self.start = start
        self.listenerName = listenerName
        self.reservation = reservation
    }

    /// Target without its query, not decoded.
    package var path: Substring {
        let uri = head.uri
        return uri[..<(uri.utf8.firstIndex(of: UInt8(ascii: "?")) ?? uri.endIndex)]
    }

    /// Text after the first `?`, not decoded; nil without one.
    package var query: Substring? {
        head.uri.firstIndex(of: "?").map { head.uri[head.uri.index(after: $0)...] }
    }
}

/// The `async` interface of the server: one task per request, off the event loop, cancelled when the client leaves
/// before the response has begun.
package final class AsyncHTTPHandler: HTTPRequestHandler {
    private let bodyLimit: Int
    private let failureHeaders: HTTPHeaders
    private let site: @Sendable () -> SiteRule?
    private let onFinish: (@Sendable (HTTPRequestHead, HTTPExchangeSummary) -> Void)?
    private let respond: @Sendable (AsyncHTTPRequest, AsyncHTTPResponder) async -> Void

    /// - Parameters:
    ///   - bodyLimit: Largest body in bytes; a larger one is answered with 413 before `respond` is called.
    ///   - failureHeaders: Header fields of the responses to requests that do not reach `respond`.
    ///   - site: Returns the rule for accepting `Host` and `Origin`, which is applied before anything else of a request
    ///     is read; nil: they are not checked.
    ///   - onFinish: Listener for the access log; called on the event loop after every response.
    ///   - respond: Must answer through the responder; a request that is unanswered when it returns gets 500.
    package init(
        bodyLimit: Int, failureHeaders: HTTPHeaders = [:], site: @escaping @Sendable () -> SiteRule? = { nil },
        onFinish: (@Sendable (HTTPRequestHead, HTTPExchangeSummary) -> Void)? = nil,
        _ respond: @escaping @Sendable (AsyncHTTPRequest, AsyncHTTPResponder) async -> Void
    ) {
        self.bodyLimit = bodyLimit
        self.failureHeaders = failureHeaders
        self.site = site
        self.onFinish = onFinish
        self.respond = respond
    }

    package func handle(_ exchange: HTTPExchange) {
        observe(exchange)
        if let refusal = site()?.refusal(of: exchange.head, from: exchange.remoteAddress) {
            return exchange.respond(refusal, adding: failureHeaders)
        }
        exchange.collectBody(upTo: bodyLimit) { [respond, failureHeaders] result in
            switch result {
            case .failure(.disconnected): break
            case .failure(let failure): exchange.respond(failure, adding: failureHeaders)
            case .success(let body): exchange.serve(body: body, respond)
            }
        }
    }

    package func reject(_ failure: HTTPError, _ exchange: HTTPExchange) {
        observe(exchange)
        exchange.respond(failure, adding: failureHeaders)
    }

    private func observe(_ exchange: HTTPExchange) {
        guard let onFinish else { return }
        let head = exchange.head
        exchange.onFinish = { summary in onFinish(head, summary) }
    }
}

extension HTTPExchange {
    /// Answers in a task of its own, which is cancelled when the client leaves before the response has begun.
    ///
    /// Must be called on the event loop, once the body is complete. Replaces `onDisconnect`.
    ///
    /// - Parameter executor: Executor of this event loop: the task begins at once and stays on the loop. Nil: the task
    ///   runs on the concurrency pool.
    package func serve(
        body: ByteBuffer, on executor: EventLoopExecutor? = nil,
        _ respond: @escaping @Sendable (AsyncHTTPRequest, AsyncHTTPResponder) async -> Void
    ) {
        let request = AsyncHTTPRequest(
            head: head, remoteAddress: remoteAddress, body: body, start: start, listenerName: listenerName,
            reservation: reservation)
        let channel = AsyncHTTPResponseChannel(self)
        let operation = { @Sendable () async -> Void in
            await respond(request, AsyncHTTPResponder(channel: channel))
            channel.handlerReturned()
        }
        // Set before the task begins: the response may be over when it first suspends.
        let running = RunningTask()
        onDisconnect = {
            channel.clientLeft()
            running.task?.cancel()
        }
        running.task =
            if let executor {
                Task.immediate(executorPreference: executor, operation: operation)
            } else {
                Task(operation: operation)
            }
    }

    /// The task that serves a request. Confined to the event loop.
    private final class RunningTask {
        var task: Task<Void, Never>?
    }
}
