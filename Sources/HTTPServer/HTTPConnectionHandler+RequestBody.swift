import NIOCore
import NIOHTTP1

extension HTTPConnectionHandler {
    func collectBody(
        of exchange: HTTPExchange, upTo limit: Int, _ done: @escaping (Result<ByteBuffer, HTTPError>) -> Void
    ) {
        guard mayReadBody(of: exchange) else { return done(.failure(.malformed("no readable body"))) }
        if machine.isBodyComplete { return done(.success(ByteBuffer())) }
        if case .length(let length) = exchange.framing, length > limit {
            return done(.failure(.bodyTooLarge(limit: limit)))
        }
        if case .length(let length) = exchange.framing, !memory.hasRoom(for: length) {
            return done(.failure(.overloaded))
        }
        sink = .collect(done)
        collectLimit = limit
        collected = nil
        readBody(of: exchange)
    }

    func streamBody(
        of exchange: HTTPExchange, _ onChunk: @escaping (ByteBuffer, @escaping () -> Void) -> Void,
        onEnd: @escaping (Result<HTTPHeaders?, HTTPError>) -> Void
    ) {
        guard mayReadBody(of: exchange) else { return onEnd(.failure(.malformed("no readable body"))) }
        if machine.isBodyComplete { return onEnd(.success(nil)) }
        sink = .stream(onChunk, onEnd)
        isChunkOutstanding = false
        // One closure for all pieces of the body.
        consumed = { [weak self, weak exchange] in
            guard let self, let exchange, exchange === self.exchange, isChunkOutstanding else { return }
            isChunkOutstanding = false
            process()
        }
        readBody(of: exchange)
    }

    private func mayReadBody(of exchange: HTTPExchange) -> Bool {
        guard exchange === self.exchange, case .none = sink, machine.response != .ended else { return false }
        // The framing of a refused request is unknown.
        return machine.isBodyComplete || exchange.framing != .none
    }

    private func readBody(of exchange: HTTPExchange) {
        if exchange.expectsContinue {
            exchange.expectsContinue = false
            // Only while the client may be waiting for it (RFC 9110 section 10.1.1).
            if inbound.readableBytes == 0, machine.response == .pending {
                writeInterim(exchange)
            }
        }
        process()
    }

    /// Delivers one part of the body, if a handler wants it. False when there is nothing to do for now.
    func stepBody() -> Bool {
        guard !machine.isBodyComplete, let exchange else { return false }
        switch sink {
        case .none: return false
        case .stream where isChunkOutstanding:
            machine.bodyPaused(now: .now())
            return false
        case .collect, .stream: break
        }
        let available = inbound.readableBytes
        do throws(HTTPError) {
            let event = try parser.nextBodyEvent(&inbound)
            exchange.requestBytes += available - inbound.readableBytes
            guard let event else {
                perform(machine.bodyAwaited(now: .now(), received: bytesReceived))
                return false
            }
            switch event {
            case .chunk(let bytes): deliver(bytes)
            case .end(let trailers): endBody(trailers)
            }
        } catch {
            failBody(error)
        }
        return true
    }

    private func deliver(_ bytes: ByteBuffer) {
        switch sink {
        case .none: break
        case .stream(let onChunk, _):
            guard let consumed else { return }
            isChunkOutstanding = true
            onChunk(bytes, consumed)
        case .collect:
            let count = (collected?.readableBytes ?? 0) + bytes.readableBytes
            guard count <= collectLimit else { return failBody(.bodyTooLarge(limit: collectLimit)) }
            guard let exchange, memory.hold(count, in: &exchange.reservation) else { return failBody(.overloaded) }
            // Most bodies arrive in one piece, which then is not copied.
            if collected == nil { collected = bytes } else { collected?.writeImmutableBuffer(bytes) }
        }
    }

    private func endBody(_ trailers: HTTPHeaders?) {
        machine.bodyCompleted()
        let sink = self.sink
        let body = collected
        self.sink = .none
        collected = nil
        consumed = nil
        switch sink {
        case .none: break
        case .collect(let done): done(.success(body ?? ByteBuffer()))
        case .stream(_, let onEnd): onEnd(.success(trailers))
        }
    }

    func failBody(_ failure: HTTPError) {
        machine.bodyFailed()
        exchange?.reservation = nil
        takeSink(failing: failure)
    }

    /// Removes the reader of the body and reports the failure to it.
    func takeSink(failing failure: HTTPError) {
        let sink = self.sink
        self.sink = .none
        collected = nil
        consumed = nil
        switch sink {
        case .none: break
        case .collect(let done): done(.failure(failure))
        case .stream(_, let onEnd): onEnd(.failure(failure))
        }
    }

    /// Reads and discards a body that has arrived already, before an early response: the connection can then be kept.
    func discardBufferedBody(of exchange: HTTPExchange) {
        guard !machine.isBodyComplete, exchange.framing != .none, case .none = sink else { return }
        let available = inbound.readableBytes
        defer { exchange.requestBytes += available - inbound.readableBytes }
        do throws(HTTPError) {
            while let event = try parser.nextBodyEvent(&inbound) {
                if case .end = event { return machine.bodyCompleted() }
            }
        } catch {
            machine.bodyFailed()
        }
    }
}
