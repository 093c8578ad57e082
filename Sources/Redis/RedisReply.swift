import CHiredis

/// A reply of a Redis or Valkey server (RESP2).
package enum RedisReply: Hashable, Sendable {
    case integer(Int64)
    /// Bytes of a bulk or simple string.
    case text([UInt8])
    /// Error of the server, such as `NOSCRIPT No matching script`.
    case error(String)
    case array([RedisReply])
    case null
}

/// Functions with which libhiredis makes values by itself. Never changed; all zero when there was no memory.
private let standardFunctions: redisReplyObjectFunctions = {
    guard let reader = redisReaderCreate() else { return redisReplyObjectFunctions() }
    defer { redisReaderFree(reader) }
    return reader.pointee.fn.pointee
}()

/// Reader of replies from the bytes of a connection, on libhiredis's parser.
final class RedisReplyReader {
    /// Bytes that the server sent do not follow the protocol.
    struct Malformed: Error {
        /// Message of libhiredis.
        let reason: String
    }

    /// Largest reply, in bytes. Those to the commands that are sent have less than a hundred.
    static let maximumBytes = 64 << 10
    /// Largest number of elements of one array. libhiredis takes the memory for as many as the server announces.
    static let maximumElements = 64

    private let reader: UnsafeMutablePointer<redisReader>
    /// Functions with which the reader makes its values.
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    /// Number of bytes of the reply that is not complete yet.
    private var pending = 0

    /// - Throws: ``Malformed`` when there is no memory.
    init() throws(Malformed) {
        guard let reader = redisReaderCreate() else { throw Malformed(reason: "out of memory") }
        self.reader = reader
        functions = .allocate(capacity: 1)
        functions.initialize(to: standardFunctions)
        functions.pointee.createArray = { task, elements in
            elements <= RedisReplyReader.maximumElements ? standardFunctions.createArray?(task, elements) : nil
        }
        reader.pointee.fn = functions
    }

    deinit {
        redisReaderFree(reader)
        functions.deallocate()
    }

    /// Adds bytes that have arrived.
    /// - Throws: ``Malformed``; no further reply can be read then.
    func feed(_ bytes: UnsafeRawBufferPointer) throws(Malformed) {
        guard let start = bytes.baseAddress else { return }
        guard redisReaderFeed(reader, start.assumingMemoryBound(to: CChar.self), bytes.count) == REDIS_OK else {
            throw failure
        }
        pending += bytes.count
    }

    /// Returns the next complete reply; nil when more bytes are needed.
    /// - Throws: ``Malformed``; no further reply can be read then.
    func next() throws(Malformed) -> RedisReply? {
        var found: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &found) == REDIS_OK else { throw failure }
        guard let found else {
            guard pending <= Self.maximumBytes else {
                throw Malformed(reason: "a reply of more than \(Self.maximumBytes) bytes")
            }
            return nil
        }
        defer { freeReplyObject(found) }
        pending = Int(clamping: reader.pointee.len - reader.pointee.pos)
        return Self.reply(found.assumingMemoryBound(to: redisReply.self).pointee)
    }

    private var failure: Malformed {
        Malformed(
            reason: withUnsafePointer(to: &reader.pointee.errstr) { text in
                text.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: text.pointee)) {
                    String(cString: $0)
                }
            })
    }

    /// Nesting is bounded by libhiredis.
    private static func reply(_ reply: redisReply) -> RedisReply {
        switch reply.type {
        case REDIS_REPLY_INTEGER: return .integer(reply.integer)
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS: return .text(bytes(reply))
        case REDIS_REPLY_ERROR: return .error(String(decoding: bytes(reply), as: UTF8.self))
        case REDIS_REPLY_ARRAY:
            return .array(
                (0..<Int(clamping: reply.elements)).map { index in
                    reply.element?[index].map { Self.reply($0.pointee) } ?? .null
                })
        default: return .null
        }
    }

    private static func bytes(_ reply: redisReply) -> [UInt8] {
        guard let start = reply.str else { return [] }
        return Array(UnsafeRawBufferPointer(start: start, count: Int(clamping: reply.len)))
    }
}
