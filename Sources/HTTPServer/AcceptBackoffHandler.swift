import Glibc
import Logging
import NIOCore

/// Handler that pauses accepting when the process is out of descriptors: accepting then fails without taking the
/// connection off the queue, and would otherwise be retried in a busy loop.
final class AcceptBackoffHandler: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = any Channel
    typealias OutboundOut = any Channel

    private static let pause = TimeAmount.milliseconds(100)

    private let logger: Logger
    private var isPaused = false
    private var readWhilePaused = false
    private var lastLogged: NIODeadline?

    init(logger: Logger) { self.logger = logger }

    func read(context: ChannelHandlerContext) {
        if isPaused { readWhilePaused = true } else { context.read() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let now = NIODeadline.now()
        if lastLogged.map({ now - $0 >= .seconds(1) }) ?? true {
            lastLogged = now
            logger.warning("connection could not be accepted", metadata: ["error": "\(error)"])
        }
        guard !isPaused, let code = (error as? IOError)?.errnoCode, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code)
        else { return }
        isPaused = true
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [self] in
            isPaused = false
            if readWhilePaused {
                readWhilePaused = false
                context.read()
            }
        }
    }
}
