import CurlTransport

extension CurlTLS {
    convenience init(_ configuration: UpstreamTLSConfiguration) {
        self.init(
            caFile: configuration.caFile, clientCert: configuration.certificateFile,
            clientKey: configuration.keyFile, verify: configuration.verify,
            pinnedKeys: configuration.pinnedKeys.isEmpty ? nil : configuration.pinnedKeys.joined(separator: ";"))
    }
}
