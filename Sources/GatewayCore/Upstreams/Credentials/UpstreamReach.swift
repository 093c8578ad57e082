import AuthorizationClient
import CurlTransport
import HTTPSyntax
import MCPClient
import NIOCore
import NIOPosix
import Synchronization

/// Connections of the requests with which a token for one upstream is found and fetched.
///
/// The upstream's own origin is reached as the upstream is. Other addresses, which a public upstream names, must be
/// public ones: a hostile upstream could otherwise let the gateway send requests within the company's network, or to a
/// cloud provider's metadata service. An upstream that is itself on this machine or in a private network may name others
/// there, and so may one that is trusted.
final class UpstreamReach: Sendable {
    /// Returns whether a host has a public address.
    typealias IsPublic = @Sendable (_ host: Authority) async -> Bool

    private let address: UpstreamAddress
    private let tls: CurlTLS?
    private let connectTimeout: Duration
    private let isTrusted: Bool
    private let isPublic: IsPublic
    /// Engine that connects only to public addresses. It has connections of its own, because one that another request
    /// has opened would not be checked again.
    private let guarded = Mutex<CurlEngine?>(nil)

    /// - Parameter isPublic: Returns whether a host has a public address.
    init(_ configuration: UpstreamConfiguration, isPublic: @escaping IsPublic = UpstreamReach.resolvesToPublic) {
        address = configuration.address
        tls = configuration.tls.map(CurlTLS.init)
        connectTimeout = configuration.connectTimeout
        isTrusted = configuration.isTrusted
        self.isPublic = isPublic
    }

    /// The upstream's URL.
    var url: String { address.url }

    /// Returns the way to send requests, all of them within one time limit.
    ///
    /// - Parameters:
    ///   - isConfigured: True if the operator has named the authorization server, so that its address is not checked.
    ///   - engine: Engine of the upstream's calls.
    func sender(isConfigured: Bool, timeout: Duration, engine: CurlEngine) async -> AuthorizationDiscovery.Send {
        let end = ContinuousClock.now + timeout
        let others = isConfigured ? engine : await engineForOthers(engine)
        let own = ServerURL(address.url)?.origin
        return { [address, tls, connectTimeout] request in
            var request = request
            let isOwn = own != nil && ServerURL(request.url)?.origin == own
            if isOwn {
                request.unixSocketPath = address.socketPath
                request.tls = tls
            }
            request.connectTimeout = connectTimeout
            request.timeout = end - ContinuousClock.now
            guard request.timeout > .zero else {
                throw CurlError(kind: .timedOut, message: "no time left", requestSent: false)
            }
            return try await (isOwn ? engine : others).execute(request)
        }
    }

    /// Asks the upstream for something without a token, and returns its `WWW-Authenticate` where it refuses.
    func challenge(_ request: CurlRequest, timeout: Duration, engine: CurlEngine) async throws(AuthorizationError)
        -> [String]
    {
        var request = request
        request.unixSocketPath = address.socketPath
        request.tls = tls
        request.connectTimeout = connectTimeout
        request.timeout = timeout
        do {
            // Only the head is read: releasing the response ends the transfer.
            let response = try await engine.stream(request)
            return response.status == 401 ? response.headers.all(name: "WWW-Authenticate") : []
        } catch {
            throw .unreachable("the upstream: \(error)")
        }
    }

    private func engineForOthers(_ engine: CurlEngine) async -> CurlEngine {
        guard !isTrusted, address.socketPath == nil, let host = ServerURL(address.url)?.origin.authority,
            await isPublic(host)
        else { return engine }
        return guarded.withLock { guarded in
            if let guarded { return guarded }
            let made = CurlEngine(
                label: "discovery", configuration: CurlEngineConfiguration(allowsAddress: PublicAddress.contains))
            guarded = made
            return made
        }
    }

    /// Returns whether a host is a public address, or a name that resolves to one. A name that does not resolve counts as
    /// public.
    static func resolvesToPublic(_ host: Authority) async -> Bool {
        if let address = host.address { return PublicAddress.contains(address.bytes) }
        let resolved = try? await NIOThreadPool.singleton.runIfActive {
            try SocketAddress.makeAddressResolvingHost(host.host, port: 0)
        }
        guard let address = resolved?.ipAddress.flatMap({ IPAddress($0) }) else { return true }
        return PublicAddress.contains(address.bytes)
    }
}
