package import HTTPSyntax
package import NIOCore
package import NIOHTTP1

extension SiteRule {
    /// Returns why a request is refused; nil when it is accepted.
    package func refusal(of head: HTTPRequestHead, from address: SocketAddress?) -> Refusal? {
        refusal(
            of: SiteFields(head.headers), method: head.method.rawValue, from: Peer(address), request: head.headers)
    }
}
