/// The `openssl` command, which makes certificates.
package enum OpenSSL {
    /// - Throws: `ProcessError` with the command's own message.
    package static func run(_ arguments: [String]) async throws {
        let finished = try await ChildProcess.run(.init("openssl", arguments))
        guard finished.succeeded else { throw ProcessError("openssl: \(finished.error)") }
    }

    /// Makes a key on P-256 and a certificate that it signed itself.
    /// - Parameters:
    ///   - alternativeNames: such as `DNS:localhost,IP:127.0.0.1`.
    ///   - key, certificate: where they go, as PEM.
    package static func makeCertificate(
        for name: String = "localhost", alternativeNames: String? = nil, days: Int = 2, key: String, certificate: String
    ) async throws {
        let names = alternativeNames.map { ["-addext", "subjectAltName=\($0)"] } ?? []
        try await run(
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "\(days)",
                "-subj", "/CN=\(name)", "-keyout", key, "-out", certificate,
            ] + names)
    }
}
