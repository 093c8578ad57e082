import Foundation

/// An authority, what it signed for two servers and a client, and an authority that signed nothing, from the `openssl`
/// command: `NAME.pem` and `NAME.key` of `authority`, `stranger`, `localhost`, `elsewhere` (`elsewhere.example`) and
/// `client`.
package struct Certificates: Sendable {
    /// Where they are.
    package let directory: TemporaryDirectory

    /// The path of a file beside the certificates.
    package func path(_ name: String) -> String { directory.path(name) }

    /// Writes a file beside the certificates and gives its path.
    @discardableResult
    package func write(_ text: String, to name: String) throws -> String { try directory.write(text, to: name) }

    /// Makes them all, good for two days.
    package static func make() async throws -> Certificates {
        let certificates = Certificates(directory: try TemporaryDirectory("certificates"))
        for name in ["authority", "stranger"] {
            try await OpenSSL.makeCertificate(
                for: name, key: certificates.path("\(name).key"), certificate: certificates.path("\(name).pem"))
        }
        for (file, name) in [("localhost", "localhost"), ("elsewhere", "elsewhere.example"), ("client", "gateway")] {
            let request = certificates.path("\(file).csr")
            try await OpenSSL.run(
                [
                    "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(name)",
                    "-keyout", certificates.path("\(file).key"), "-out", request,
                ])
            let extensions = try certificates.write("subjectAltName=DNS:\(name)\n", to: "\(file).ext")
            try await OpenSSL.run(
                [
                    "x509", "-req", "-in", request, "-CA", certificates.path("authority.pem"), "-CAkey",
                    certificates.path("authority.key"), "-set_serial", "\(UInt32.random(in: 1 ... .max))", "-days", "2",
                    "-extfile", extensions, "-out", certificates.path("\(file).pem"),
                ])
        }
        return certificates
    }

    /// The pin of a certificate's public key, made as an operator would.
    package func pin(of name: String) async throws -> String {
        let command = """
            openssl x509 -in \(path("\(name).pem")) -pubkey -noout | openssl pkey -pubin -outform der \
            | openssl dgst -sha256 -binary | openssl base64
            """
        let finished = try await ChildProcess.run(.init("sh", ["-c", command]))
        return "sha256//" + finished.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
