package import HTTPSyntax
package import JSONConfiguration
package import Logging

/// Hosts, pages and proxies that a process accepts: keys of both sections of the configuration.
///
/// | key | type | default | meaning |
/// |---|---|---|---|
/// | `allowedHosts` | list | those of the listener | values of `Host` under which clients may address the process |
/// | `allowedOrigins` | list | empty | origins whose pages may send requests with credentials |
/// | `trustedProxies` | list | loopback | peers whose `X-Forwarded-…` fields are trusted |
package struct SiteConfiguration: Hashable, Sendable {
    /// Configured hosts; nil: those that suit each listener.
    package let hosts: AllowedHosts?
    /// Origins as `scheme://host[:port]`.
    package let allowedOrigins: [String]
    /// Peers whose `X-Forwarded-…` fields are trusted.
    package let trustedProxies: TrustedProxies

    /// Reads the keys from a section. Errors are recorded in the reader.
    package init(_ reader: ConfigurationReader) {
        hosts = Self.hosts(reader)
        let origins = reader.strings(
            "allowedOrigins", default: [],
            "Origins, such as https://app.example, whose pages may send requests with cookies and other credentials.")
        for origin in origins where WebOrigin(origin) == nil {
            reader.fail("allowedOrigins", expected: "scheme://host[:port]", found: "\"\(origin)\"")
        }
        allowedOrigins = origins
        trustedProxies = TrustedProxies(
            reader.strings(
                "trustedProxies", default: TrustedProxies.defaultRanges,
                "Addresses and ranges of reverse proxies whose X-Forwarded-For, -Proto and -Host are believed.")
        ) { reader.fail("trustedProxies", expected: "an address or a range such as 10.0.0.0/8", found: "\"\($0)\"") }
    }

    /// Reads `allowedHosts` of a section; nil where it is not set.
    package static func hosts(_ reader: ConfigurationReader) -> AllowedHosts? {
        let entries = reader.strings(
            "allowedHosts", default: [],
            """
            Hosts under which clients address the process: names, *.NAME for subdomains, addresses, ranges such as \
            10.0.0.0/8, or * for any; ports do not matter. Requests with another Host are refused with 403, on the \
            admin listener too, which accepts any address besides. Empty: on a loopback address the names and addresses of the machine itself, elsewhere \
            any host.
            """)
        let hosts = AllowedHosts(entries) {
            reader.fail("allowedHosts", expected: "a name, an address, a range or *", found: "\"\($0)\"")
        }
        return entries.isEmpty ? nil : hosts
    }

    /// Returns the rule for a listener.
    ///
    /// - Parameters:
    ///   - listeners: Scopes of the listener's addresses.
    ///   - sharedOrigins: Origins whose pages may read responses, or `*`.
    ///   - sharesCredentials: True if those pages may use ambient credentials.
    ///   - ambientFields: Fields in which a proxy names the user.
    package func rule(
        for listeners: [ListenerScope], sharedOrigins: [String] = [], sharesCredentials: Bool = false,
        ambientFields: [String] = []
    ) -> SiteRule {
        SiteRule(
            hosts: hosts, listeners: listeners, allowedOrigins: allowedOrigins, sharedOrigins: sharedOrigins,
            sharesCredentials: sharesCredentials, trustedProxies: trustedProxies,
            ambient: AmbientCredentials(fields: ambientFields))
    }

    /// Returns the rule for an admin listener. Besides the configured hosts it accepts addresses and the names of the
    /// machine itself, which probes and operators use.
    package func adminRule(for listeners: [ListenerScope]) -> SiteRule {
        SiteRule(
            hosts: hosts?.union(.addresses), listeners: listeners, allowedOrigins: allowedOrigins,
            trustedProxies: trustedProxies)
    }

    /// Warns about a listener that other machines can reach under any host name.
    package func warn(of listeners: [ListenerScope], named name: String, key: String, _ logger: Logger) {
        guard hosts == nil, listeners.contains(.network) else { return }
        logger.warning(
            "no allowed hosts are set: requests with any Host are accepted",
            metadata: ["listener": "\(name)", "config.key": "\(key)"])
    }
}
