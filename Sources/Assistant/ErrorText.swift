import Foundation
import JSONConfiguration

/// Takes out of a provider's own words what callers must not see.
struct ErrorText: Sendable {
    /// The longest text passed on, in characters.
    private static let maximumLength = 2000

    private let hidden: [String]

    init(_ configuration: ProviderConfiguration) {
        // Very short names and keys are part of ordinary words: replacing them would garble the message.
        var hidden = configuration.secrets.filter { $0.count >= 4 }
        for address in [configuration.baseURL, configuration.proxy?.value].compactMap(\.self) {
            hidden.append(address)
            guard let url = URL(string: address), let host = url.host() else { continue }
            let authority = url.port.map { "\(host):\($0)" } ?? host
            if authority.contains(where: { ".:".contains($0) }) { hidden.append(authority) }
            if host.contains(".") { hidden.append(host) }
        }
        // The longest first: a part must not be taken out of the whole.
        self.hidden = hidden.sorted { $0.count > $1.count }
    }

    func redacted(_ message: String) -> String {
        var message = message
        for text in hidden { message = message.replacing(text, with: "…") }
        // Whoever's: the user part of a URL, and keys as the large services spell them.
        message.replace(#/(?<scheme>[a-zA-Z][a-zA-Z0-9+.\-]*:\/\/)[^\s\/@]+@/#) { "\($0.output.scheme)…@" }
        message.replace(#/\b(?:sk|pk|rk|key)-[A-Za-z0-9_*\-]{8,}|\bBearer\s+[^\s"',;]{8,}/#, with: "…")
        return message.count > Self.maximumLength ? message.prefix(Self.maximumLength) + "…" : message
    }
}
