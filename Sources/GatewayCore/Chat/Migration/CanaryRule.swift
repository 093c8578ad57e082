import Crypto
import Foundation

/// Selection of a stable share of the callers: the same ones in every process and after every restart.
struct CanaryRule: Sendable {
    private let key: SymmetricKey
    /// Number of the 2³² possible hash values that are selected.
    private let threshold: UInt64

    init(_ configuration: CanaryConfiguration) {
        self.init(percent: configuration.percent, seed: configuration.seed)
    }

    init(percent: Double, seed: String) {
        key = SymmetricKey(data: Array("dev.chatgateway/canary/\(seed)".utf8))
        threshold = UInt64((percent / 100 * 0x1p32).rounded())
    }

    /// Returns whether a caller's calls go to the tool.
    ///
    /// - Parameters:
    ///   - cookies: The forwarded part of `Cookie`.
    ///   - authorization: The forwarded `Authorization`.
    ///   - address: The client's address; used only for callers with neither cookies nor `Authorization`.
    func chooses(cookies: String?, authorization: String?, address: [UInt8]) -> Bool {
        let isAnonymous = (cookies ?? "").isEmpty && (authorization ?? "").isEmpty
        let credential = [cookies ?? "", authorization ?? ""].map { Array($0.utf8) }
        var hash = HMAC<SHA256>(key: key)
        // Each part's length separates it from the next; the kind separates an address from a token.
        for part in isAnonymous ? [Array("address".utf8), address] : [Array("credential".utf8)] + credential {
            withUnsafeBytes(of: UInt64(part.count).littleEndian) { hash.update(data: $0) }
            part.withUnsafeBytes { hash.update(data: $0) }
        }
        let part = hash.finalize().withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
        return UInt64(UInt32(littleEndian: part)) < threshold
    }
}
