import CurlTransport
import HTTPServer
import HTTPSyntax
import MCPClient
import NIOCore
import NIOHTTP1

/// The upstream's response on its way to the client. Where tools are hidden, lists pass a filter on it.
extension PassThroughRequest: CurlTransferReceiver {
    func transferHead(status: Int, headers: CurlHeaders) {
        guard !isDone else { return }
        refusal = refusal(status, headers)
        guard refusal == nil else { return }
        if let target = redirectTarget(status, headers) {
            (isRedirected, redirect) = (true, target)
            transfer?.cancel()
            return
        }
        upstream?.duration = .nanoseconds((NIODeadline.now() - sentAt).nanoseconds)
        let endpoint = prefix == .mcp ? target?.upstream.servers[server].address.endpoint : nil
        exchange.onWritable = { [weak self] in self?.resume() }
        var down = RelayedHeaders.downstream(
            headers, own: self.headers(), url: request?.url ?? "", isPrivate: prefix == .auth,
            sharesByItself: settings.cors != nil
        ) { path in
            endpoint.flatMap { PassThroughPath.gatewayPath(path, endpoint: $0) } ?? String(path)
        }
        listFilter = filter(for: down)
        if listFilter != nil, down["Content-Encoding"].contains(where: { !HTTPSyntax.name($0, is: "identity") }) {
            return refuse(GatewayError(.upstreamInvalid, executed: .unknown, detail: "a list in a content coding"))
        }
        if let listFilter {
            down.remove(name: "Content-Length")
            if !listFilter.isEventStream {
                heldHead = (HTTPResponseStatus(statusCode: status), down)
                return
            }
        }
        exchange.startResponse(status: HTTPResponseStatus(statusCode: status), headers: down)
        // An event stream may be silent for long: its head must not wait for the first event.
        exchange.flush()
    }

    func transferBody(_ bytes: ByteBuffer) {
        guard !isDone, refusal == nil, redirect == nil, !pieces.keep(bytes) else { return }
        pass(bytes)
    }

    /// Passes on a piece of the response. One that completes a long event of a filtered stream is read beside the event
    /// loop.
    private func pass(_ bytes: ByteBuffer) {
        guard listFilter?.completesLongEvent(bytes) == true, let filter = listFilter.take() else {
            return send(listFilter == nil ? bytes : listFilter?.feed(bytes))
        }
        transfer?.pause()
        pieces.beginReading()
        ParsingQueue.answers.run(on: exchange.eventLoop, changing: filter) { filter in
            filter.feed(bytes)
        } then: { [self] filter, filtered in
            pieces.endReading()
            if isDone { return }
            listFilter = filter
            send(filtered)
            while !isDone, let piece = pieces.next() { pass(piece) }
            if let end = pieces.takeEnd() { return transferDone(end) }
            if exchange.isWritable { resume() }
        }
    }

    /// Reads on from the upstream, unless a long event is being filtered.
    private func resume() {
        if !pieces.isReading { transfer?.resume() }
    }

    /// Sends what the filter let pass to the client; nil: it cannot, so that the response ends.
    private func send(_ bytes: ByteBuffer?) {
        guard let bytes else { return refuse(withheld) }
        guard bytes.readableBytes > 0 else { return }
        exchange.write(bytes)
        exchange.flush()
        // A slow client slows down the upstream: the bytes already on their way are bounded by the engine's window.
        if !exchange.isWritable { transfer?.pause() }
    }

    /// Error in place of a response that the filter does not let pass.
    private var withheld: GatewayError {
        if listFilter?.isStarved == true {
            return GatewayError(.overloaded, executed: .unknown, detail: "no room in limits.memory for the list")
        }
        return GatewayError(
            .upstreamInvalid, executed: .unknown, detail: "a list that is too large, or cannot be read")
    }

    /// Ends the response with what the filter has held back; a long document is read beside the event loop.
    private func finish(_ filter: ToolListFilter) {
        listFilter = nil
        guard filter.heldBytes >= ParsingQueue.longAnswer else { return end(with: filter.rest()) }
        ParsingQueue.answers.run(on: exchange.eventLoop) {
            filter.rest()
        } then: { [self] rest in
            end(with: rest)
        }
    }

    private func end(with rest: ByteBuffer?) {
        guard let rest else { return refuse(withheld) }
        if let head = heldHead.take() {
            return exchange.respond(status: head.status, headers: head.headers, body: rest)
        }
        exchange.write(rest)
        exchange.endResponse()
    }

    /// Returns the filter for a response. Event streams may carry a list at any time, other responses only where one
    /// was requested.
    private func filter(for headers: HTTPHeaders) -> ToolListFilter? {
        guard prefix == .mcp, let tools = target?.tools else { return nil }
        let isStream = headers["Content-Type"].contains { HTTPSyntax.hasPrefix($0, "text/event-stream") }
        guard isStream || listsTools else { return nil }
        return ToolListFilter(
            tools, isEventStream: isStream, limit: settings.limits.upstreamResponse,
            memory: target?.upstream.memory ?? .unlimited)
    }

    func transferDone(_ result: Result<CurlResponse, CurlError>) {
        guard !isDone, !pieces.keep(result) else { return }
        if let refusal = refusal.take() { return `continue`(after: refusal) }
        transfer = nil
        if let target = redirect.take(), var request {
            request.url = target
            return start(request)
        }
        if case .failure(let failure) = result, startsAgain(after: failure) { return }
        isDone = true
        switch result {
        case .success:
            if let filter = listFilter { return finish(filter) }
            exchange.endResponse()
        case .failure(let failure):
            let error = GatewayError(failure)
            if exchange.responseStarted {
                note(error)
                exchange.abort()
            } else {
                respond(error)
            }
        }
    }
}
