import Foundation
import HTTPServer
import HTTPSyntax
import Identity
import JSON
import Logging
import NIOCore
import NIOHTTP1

/// Routes `/auth/login` and `/auth/logout`.
struct LoginRoutes: Sendable {
    let login: LoginService
    let addresses: ClientAddressRule
    let metrics: ToolServerMetrics
    let logger: Logger

    /// Checks `{"username", "password"}` and sets the cookie.
    func logIn(body: [UInt8], headers: HTTPHeaders, peer: SocketAddress?) async -> HTTPReply {
        // Two short texts; anything longer would be held while the login waits for its turn.
        guard body.count <= 16 << 10 else {
            return .error("A login has at most 16 KiB", status: .payloadTooLarge)
        }
        guard let value = try? JSONValue(parsing: body), value.object != nil else {
            return .error("Invalid JSON", status: .badRequest)
        }
        guard let username = value["username"]?.string, let password = value["password"]?.string else {
            return .error("Expected username and password", status: .badRequest)
        }
        do {
            let (account, token) = try await login.login(
                username: username, password: password, replacing: Self.token(in: headers),
                from: client(headers, Peer(peer)))
            return .json(
                ["username": .string(account.username), "alias": .string(account.alias)],
                headers: [
                    "Set-Cookie": LoginCookieIdentity.cookie(
                        token.text, maxAge: login.lifetime, requestHeaders: headers)
                ])
        } catch LoginService.LoginError.tooManyAttempts(let time) {
            metrics.refused(.throttled)
            return .error(
                "Too many failed logins, try again later", status: .tooManyRequests,
                headers: ["Retry-After": String(time.components.seconds + 1)])
        } catch is LoginService.LoginError {
            metrics.refused(.password)
            return .error("Wrong user name or password", status: .unauthorized)
        } catch is PasswordHasher.Overloaded {
            return .error("Too many logins, try again", status: .serviceUnavailable, headers: ["Retry-After": "2"])
        } catch {
            logger.error("login failed", metadata: ["error": "\(error)"])
            return .error("The database is unavailable", status: .serviceUnavailable, headers: ["Retry-After": "2"])
        }
    }

    /// Returns the part of the client's address by which attempts are counted; nil where the address is unknown.
    private func client(_ headers: HTTPHeaders, _ peer: Peer?) -> String? {
        guard let address = addresses.address(of: peer, { headers[$0] }) else { return peer.map { "\($0)" } }
        return address.customer.map { String($0) }.joined(separator: ".")
    }

    /// Ends the session, if there is one, and clears the cookie.
    func logOut(headers: HTTPHeaders) async -> HTTPReply {
        if let token = Self.token(in: headers) {
            do {
                try await login.logout(token)
            } catch {
                logger.error("logout failed", metadata: ["error": "\(error)"])
                return .error("The database is unavailable", status: .serviceUnavailable, headers: ["Retry-After": "2"])
            }
        }
        return .json(
            ["ok": true],
            headers: ["Set-Cookie": LoginCookieIdentity.cookie("", maxAge: .zero, requestHeaders: headers)])
    }

    static func token(in headers: HTTPHeaders) -> SessionToken? {
        PresentedCredentials(cookieHeaders: headers["Cookie"]).cookie(LoginCookieIdentity.cookieName)
            .flatMap(SessionToken.init(presented:))
    }
}
