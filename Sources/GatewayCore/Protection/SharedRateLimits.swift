import Crypto
import NIOCore
import Observability
import Redis

/// Counts of calls in a Redis or Valkey server, one for all gateways.
final class SharedRateLimits: Sendable {
    /// Result of counting.
    enum Outcome: Hashable, Sendable {
        case allowed
        /// The charge at that place is over its limit; allowed again after so many microseconds.
        case refused(place: Int, retryAfter: Int64)
        /// The server is away.
        case unavailable
    }

    /// Calls that count against one limit of one caller.
    struct Charge: Hashable, Sendable {
        /// Name of the caller within the limits: bytes that tell nothing about the credential.
        let key: [UInt8]
        let policy: RateTable.Policy
        /// Number of calls, at least 1.
        let count: Int
    }

    /// GCRA, as ``RateTable`` has it, for charges in turn up to the first that is refused. Times are microseconds of the
    /// server's clock, from a recent instant on, so that they keep their fractions. A time beyond what a caller can owe is
    /// one of a clock that went back.
    static let script = """
        local clock = redis.call('TIME')
        local now = (clock[1] - 1700000000) * 1000000 + clock[2]
        for place = 1, #KEYS do
          local interval = tonumber(ARGV[place * 3 - 2])
          local tolerance = tonumber(ARGV[place * 3 - 1])
          local further = interval * (ARGV[place * 3] - 1)
          local due = tonumber(redis.call('GET', KEYS[place]) or 0)
          due = math.min(math.max(due, now), now + tolerance + interval)
          local wait = due - now + further - tolerance
          if wait > 0 then return {place, math.min(math.ceil(wait), 1e15)} end
          due = due + further + interval
          redis.call('SET', KEYS[place], string.format('%.3f', due), 'PX', math.ceil((due - now) / 1000) + 1)
        end
        return {0, 0}
        """

    private static let digest = Insecure.SHA1.hash(data: Array(script.utf8)).map { byte in
        let digits = String(byte, radix: 16)
        return byte < 16 ? "0" + digits : digits
    }.joined()

    let server: SharedServer
    private let outcomes: (shared: Counter, local: Counter, refused: Counter)

    init(_ server: SharedServer, metrics: GatewayMetrics) {
        self.server = server
        let family = metrics.sharedLimitChecks
        outcomes = (family.with("shared"), family.with("local"), family.with("refused"))
    }

    /// Counts charges in turn. The completion is called once, on the event loop, when the timeouts of two commands
    /// are over at the latest.
    func take(_ charges: [Charge], on eventLoop: any EventLoop, _ completion: @escaping (Outcome) -> Void) {
        var arguments = charges.map(\.key)
        for charge in charges {
            arguments.append(Self.argument(nanoseconds: charge.policy.interval))
            arguments.append(Self.argument(nanoseconds: charge.policy.tolerance))
            arguments.append(Array("\(charge.count)".utf8))
        }
        let count = Array("\(charges.count)".utf8)
        server.send([Array("EVALSHA".utf8), Array(Self.digest.utf8), count] + arguments, on: eventLoop) {
            [self] result in
            guard case .success(.error(let text)) = result, text.utf8.starts(with: "NOSCRIPT".utf8) else {
                return end(result, of: charges.count, completion)
            }
            // The server was restarted, or is new.
            server.send([Array("EVAL".utf8), Array(Self.script.utf8), count] + arguments, on: eventLoop) {
                [self] result in end(result, of: charges.count, completion)
            }
        }
    }

    /// - Parameter count: Number of charges: the place of a refused one is from 1 to that number.
    private func end(_ result: Result<RedisReply, RedisError>, of count: Int, _ completion: (Outcome) -> Void) {
        guard case .success(.array(let values)) = result, values.count == 2, case .integer(let place) = values[0],
            case .integer(let wait) = values[1], place >= 0, place <= count
        else {
            if case .success(let reply) = result { server.noteFailure("unexpected reply: \(reply)") }
            (server.configuration.onFailure == .local ? outcomes.local : outcomes.refused).increment()
            return completion(.unavailable)
        }
        server.noteSuccess()
        outcomes.shared.increment()
        completion(place == 0 ? .allowed : .refused(place: Int(clamping: place) - 1, retryAfter: wait))
    }

    /// Returns a time in microseconds, with its fraction, as an argument of the script.
    private static func argument(nanoseconds: UInt64) -> [UInt8] {
        let fraction = String(nanoseconds % 1000)
        return Array("\(nanoseconds / 1000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)".utf8)
    }
}
