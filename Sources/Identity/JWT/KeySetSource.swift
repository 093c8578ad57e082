package import CurlTransport
import Foundation

extension JWTConfiguration {
    /// Largest key set, in bytes; a larger one is a mistake, or an attempt to exhaust memory.
    static let maximumKeySetBytes = 256 * 1024
    private static let timeout: Duration = .seconds(5)

    /// Returns a closure that reads the issuer's keys.
    /// - Parameter engine: Engine that fetches a URL.
    package func loader(_ engine: CurlEngine?) -> @Sendable () async throws -> [UInt8] {
        switch keys {
        case .file(let path):
            return {
                guard let file = FileHandle(forReadingAtPath: path) else {
                    throw KeySetError(description: "\(path): cannot be read")
                }
                defer { try? file.close() }
                let data = try file.read(upToCount: Self.maximumKeySetBytes + 1) ?? Data()
                guard data.count <= Self.maximumKeySetBytes else {
                    throw KeySetError(description: "\(path): over 256 KiB")
                }
                return Array(data)
            }
        case .url(let url):
            let request = CurlRequest(
                url: url, headers: CurlHeaders([("Accept", "application/jwk-set+json, application/json")]),
                timeout: Self.timeout,
                maximumResponseBytes: Self.maximumKeySetBytes, mayResend: true,
                tls: caFile.map { CurlTLS(caFile: $0) })
            return {
                // Redirects are not followed: they could lead away from https.
                guard let engine else { throw KeySetError(description: "\(url): nothing to fetch it with") }
                let response = try await engine.execute(request)
                guard response.status == 200 else {
                    throw KeySetError(description: "\(url): status \(response.status)")
                }
                return Array(response.body.readableBytesView)
            }
        }
    }
}
