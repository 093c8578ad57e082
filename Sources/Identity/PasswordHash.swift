import Crypto
import CryptoExtras
import Foundation

/// A salted scrypt hash (RFC 7914) with its parameters, stored as
/// `scrypt$ROUNDS$BLOCKSIZE$PARALLELISM$BASE64SALT$BASE64KEY`.
package struct PasswordHash: Hashable, Sendable {
    /// Cost of one derivation: it needs 128 · rounds · blockSize bytes of memory.
    package struct Parameters: Hashable, Sendable {
        /// CPU and memory cost, a power of two.
        package var rounds: Int
        /// Block size.
        package var blockSize: Int
        /// Number of sequential repetitions; costs time, not memory.
        package var parallelism: Int

        /// Standard parameters: 32 MiB and about a tenth of a second, OWASP's equivalent of 128 MiB at parallelism 1,
        /// within this server's memory budget.
        package static let standard = Parameters(rounds: 1 << 15, blockSize: 8, parallelism: 3)

        /// Creates parameters.
        package init(rounds: Int, blockSize: Int, parallelism: Int) {
            self.rounds = rounds
            self.blockSize = blockSize
            self.parallelism = parallelism
        }

        /// True if a stored hash with these parameters may be computed: a tampered row must not exhaust memory (128 MiB
        /// at most) or processors (five times the standard work).
        var isSane: Bool {
            (2...(1 << 20)).contains(rounds) && rounds.nonzeroBitCount == 1 && (1...32).contains(blockSize)
                && (1...16).contains(parallelism) && rounds * blockSize <= 1 << 20
                && rounds * blockSize * parallelism <= 1 << 22
        }
    }

    let parameters: Parameters
    let salt: Data
    let key: Data

    static let saltLength = 16
    static let keyLength = 32

    /// Derives the hash of a password with a new salt. Slow and memory-hungry by design: never on an event loop.
    /// - Throws: The error of scrypt, for parameters that it rejects.
    package init(password: String, parameters: Parameters) throws {
        let salt = Self.randomBytes(Self.saltLength)
        self.parameters = parameters
        self.salt = salt
        self.key = try Self.derive(password, salt: salt, parameters: parameters)
    }

    /// Creates a hash that no password has, without deriving it: checking against it takes as long as against a real
    /// one.
    package init(matchingNoneWith parameters: Parameters) {
        self.parameters = parameters
        salt = Self.randomBytes(Self.saltLength)
        key = Self.randomBytes(Self.keyLength)
    }

    /// Parses the stored form; nil when it is malformed, or demands unreasonable resources.
    package init?(encoded: String) {
        let parts = encoded.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0] == "scrypt", let rounds = Int(parts[1]), let blockSize = Int(parts[2]),
            let parallelism = Int(parts[3]), let salt = Data(base64Encoded: String(parts[4])),
            let key = Data(base64Encoded: String(parts[5])), (8...1024).contains(salt.count),
            (16...128).contains(key.count)
        else { return nil }
        parameters = Parameters(rounds: rounds, blockSize: blockSize, parallelism: parallelism)
        guard parameters.isSane else { return nil }
        self.salt = salt
        self.key = key
    }

    /// Stored form of the hash.
    package var encoded: String {
        "scrypt$\(parameters.rounds)$\(parameters.blockSize)$\(parameters.parallelism)"
            + "$\(salt.base64EncodedString())$\(key.base64EncodedString())"
    }

    /// Returns whether the password has this hash; the comparison takes the same time wherever the keys differ.
    func matches(_ password: String) throws -> Bool {
        let candidate = try Self.derive(password, salt: salt, parameters: parameters, length: key.count)
        var difference: UInt8 = candidate.count == key.count ? 0 : 1
        for (left, right) in zip(candidate, key) { difference |= left ^ right }
        return difference == 0
    }

    private static func randomBytes(_ count: Int) -> Data {
        var generator = SystemRandomNumberGenerator()
        return Data((0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }

    private static func derive(
        _ password: String, salt: Data, parameters: Parameters, length: Int = keyLength
    ) throws -> Data {
        let key = try KDF.Scrypt.deriveKey(
            from: Data(password.utf8), salt: salt, outputByteCount: length, rounds: parameters.rounds,
            blockSize: parameters.blockSize, parallelism: parameters.parallelism)
        return key.withUnsafeBytes { Data($0) }
    }
}
