package import NIOCore
import NIOPosix

/// A server that greets like Redis and then answers every command with the same bytes, whatever they are.
package final class ScriptedRedisServer: Sendable {
    private let channel: any Channel

    /// - Parameters:
    ///   - greeting: Answer to the `PING` with which a connection begins.
    ///   - answer: Answer to each command after it; empty: none.
    /// - Throws: when no port can be opened.
    package init(greeting: String = "+PONG\r\n", answer: ByteBuffer) async throws {
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(greeting: greeting, answer: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    /// Address of the server, for `rateLimits.shared.url`.
    package var url: String { "redis://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    /// Closes the listening socket.
    package func stop() { channel.close(promise: nil) }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let greeting: String
        private let answer: ByteBuffer
        private var isGreeted = false

        init(greeting: String, answer: ByteBuffer) {
            self.greeting = greeting
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = isGreeted ? answer : ByteBuffer(string: greeting)
            isGreeted = true
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        }
    }
}
