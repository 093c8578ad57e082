package import CurlTransport
import JSON

/// Discovery of the authorization servers of a protected resource (RFC 9728) and of their metadata (RFC 8414).
///
/// No redirect is followed; a document is at most ``documentLimit`` bytes long.
package struct AuthorizationDiscovery: Sendable {
    /// Sends a request within the caller's time limit, over connections that may be made to that address.
    /// - Throws: The error that prevents it.
    package typealias Send = @Sendable (_ request: CurlRequest) async throws -> CurlResponse

    /// Largest document, in bytes.
    package static let documentLimit = 65_536

    private let send: Send

    /// - Parameter send: Sends a request.
    package init(send: @escaping Send) { self.send = send }

    /// Returns the metadata of a protected resource; nil where it has none.
    ///
    /// - Parameters:
    ///   - url: URL of the resource.
    ///   - identifier: Identifier that the metadata must have; nil: one that the resource's URL lies under.
    ///   - challenged: URL of the metadata that the resource's own challenge names, tried before the well-known ones.
    /// - Throws: ``AuthorizationError``, for the metadata of another resource, too.
    package func protectedResource(
        _ url: ServerURL, identifier: String? = nil, challenged: String? = nil
    ) async throws(AuthorizationError) -> ProtectedResourceMetadata? {
        var locations = ProtectedResourceMetadata.locations(of: url)
        if let challenged {
            guard let named = ServerURL(challenged), named.isConfidential || named.origin == url.origin else {
                throw .invalid("the challenge's resource_metadata is not a URL that may be read")
            }
            locations.removeAll { $0 == challenged }
            locations.insert(challenged, at: 0)
        }
        for location in locations {
            guard let document = try await document(location) else { continue }
            guard let metadata = ProtectedResourceMetadata(document) else {
                throw .invalid("the metadata at \(location) has no resource")
            }
            guard identifier.map({ $0.utf8.elementsEqual(metadata.resource.utf8) }) ?? metadata.describes(url) else {
                throw .invalid(
                    "the metadata at \(location) is that of another resource, \(metadata.resource.prefix(200))")
            }
            return metadata
        }
        return nil
    }

    /// Returns the metadata of an authorization server; nil where it has none.
    ///
    /// - Throws: ``AuthorizationError``, for the metadata of another issuer, too.
    package func server(_ issuer: String) async throws(AuthorizationError) -> AuthorizationServerMetadata? {
        guard let url = ServerURL(issuer), url.isConfidential else {
            throw .invalid("the issuer \(issuer.prefix(200)) is not an https URL")
        }
        for location in AuthorizationServerMetadata.locations(of: url) {
            guard let document = try await document(location) else { continue }
            return try AuthorizationServerMetadata(document, of: issuer)
        }
        return nil
    }

    /// Returns the JSON object at a URL; nil where there is none.
    private func document(_ url: String) async throws(AuthorizationError) -> JSONObject? {
        let response: CurlResponse
        do {
            var request = CurlRequest(url: url, headers: [(name: "Accept", value: "application/json")])
            request.maximumResponseBytes = Self.documentLimit
            response = try await send(request)
        } catch {
            throw .unreachable("\(url): \(error)")
        }
        if response.status >= 500 || response.status == 429 { throw .unreachable("\(url): status \(response.status)") }
        guard response.status == 200 else { return nil }
        return (try? JSONValue(parsing: Array(response.body.readableBytesView)))?.object
    }
}
