package import Foundation
import JSON
import Synchronization

/// A client's metadata document as it was fetched.
package struct FetchedDocument: Sendable {
    /// HTTP status.
    package let status: Int
    /// Values of `Cache-Control`.
    package let cacheControl: [String]
    /// Body, at most ``ClientDocuments/maximumBytes``.
    package let body: [UInt8]

    /// Creates a document.
    package init(status: Int, cacheControl: [String] = [], body: [UInt8]) {
        self.status = status
        self.cacheControl = cacheControl
        self.body = body
    }
}

/// Clients whose id is the URL of their metadata document (OAuth Client ID Metadata Document).
///
/// A document is kept as long as its headers say, within a minute and a day; a failure for a minute. Few are fetched at
/// a time, so that this server cannot be used to attack others.
package actor ClientDocuments {
    /// Fetches a document: https, no redirects, public addresses only.
    /// - Throws: The error that prevents fetching it.
    package typealias Fetch = @Sendable (_ url: String) async throws -> FetchedDocument

    /// Largest document, in bytes.
    package static let maximumBytes = 64 << 10
    private static let kept = 60.0...86_400.0
    private static let maximumEntries = 1000
    private static let maximumFetches = 8

    private struct Entry {
        let outcome: Result<OAuthClient, OAuthError>
        let until: Date
    }

    private let fetch: Fetch
    private let now: @Sendable () -> Date
    private var entries: [String: Entry] = [:]
    private var running: [String: Task<Entry, Never>] = [:]

    /// - Parameter fetch: Fetches a document from the network.
    package init(now: @escaping @Sendable () -> Date = { Date() }, fetch: @escaping Fetch) {
        self.now = now
        self.fetch = fetch
    }

    /// Returns whether a client id is of this kind: an https URL with a path, without fragment, user, dot segments and
    /// a disguised port.
    static func isDocumentURL(_ id: String) -> Bool {
        guard id.hasPrefix("https://"), let uri = RedirectURI(id), uri.scheme == "https" else { return false }
        let path = id.dropFirst("https://".count).drop { $0 != "/" && $0 != "?" }
        guard path.hasPrefix("/"), path.count > 1 else { return false }
        return !path.prefix { $0 != "?" }.split(separator: "/").contains { $0 == "." || $0 == ".." }
    }

    /// Returns the client of a document.
    /// - Throws: ``OAuthError`` with the document's error.
    func client(_ url: String) async throws(OAuthError) -> OAuthClient {
        if let entry = entries[url], entry.until > now() { return try entry.outcome.get() }
        let task: Task<Entry, Never>
        if let known = running[url] {
            task = known
        } else {
            guard running.count < Self.maximumFetches else {
                throw OAuthError(.temporarilyUnavailable, "Too many client metadata documents are being read")
            }
            let (fetch, now) = (fetch, now)
            task = Task { await Self.read(url, fetch, now) }
            running[url] = task
        }
        let entry = await task.value
        running[url] = nil
        if entries.count >= Self.maximumEntries {
            // Entries that expire first are removed first.
            for (key, _) in entries.sorted(by: { $0.value.until < $1.value.until }).prefix(Self.maximumEntries / 4) {
                entries[key] = nil
            }
        }
        entries[url] = entry
        return try entry.outcome.get()
    }

    private static func read(_ url: String, _ fetch: Fetch, _ now: @Sendable () -> Date) async -> Entry {
        let fetched: FetchedDocument
        do {
            fetched = try await fetch(url)
        } catch {
            let error = OAuthError(.invalidClient, "The client metadata document cannot be read")
            return Entry(outcome: .failure(error), until: now().addingTimeInterval(kept.lowerBound))
        }
        let outcome = client(url, fetched)
        let lifetime: TimeInterval =
            if case .success = outcome { maximumAge(fetched.cacheControl) } else { kept.lowerBound }
        return Entry(outcome: outcome, until: now().addingTimeInterval(lifetime))
    }

    private static func client(_ url: String, _ fetched: FetchedDocument) -> Result<OAuthClient, OAuthError> {
        guard fetched.status == 200, fetched.body.count <= maximumBytes,
            let metadata = (try? JSONValue(parsing: fetched.body))?.object
        else { return .failure(OAuthError(.invalidClient, "The client metadata document is not a JSON object")) }
        guard metadata["client_id"]?.string.map({ $0.utf8.elementsEqual(url.utf8) }) == true else {
            return .failure(OAuthError(.invalidClient, "The client metadata document has another client_id"))
        }
        if let method = metadata["token_endpoint_auth_method"], method != "none" {
            return .failure(
                OAuthError(.invalidClient, "token_endpoint_auth_method of a client metadata document: expected none"))
        }
        let host = RedirectURI(url)?.host ?? ""
        do throws(OAuthError) {
            return .success(try OAuthClient(id: url, metadata: metadata, origin: .document(host: host)))
        } catch {
            return .failure(OAuthError(.invalidClient, error.description))
        }
    }

    private static func maximumAge(_ fields: [String]) -> TimeInterval {
        let directives = fields.joined(separator: ",").lowercased().split(separator: ",").map {
            $0.filter { $0 != " " && $0 != "\t" }
        }
        if directives.contains("no-store") || directives.contains("no-cache") { return kept.lowerBound }
        let age = directives.first { $0.hasPrefix("max-age=") }.flatMap { Double($0.dropFirst("max-age=".count)) }
        guard let age, age.isFinite else { return 3600 }
        return min(max(age, kept.lowerBound), kept.upperBound)
    }
}
