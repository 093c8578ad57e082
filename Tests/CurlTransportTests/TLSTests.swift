import Foundation
import Glibc
import TestSupport
import Testing

@testable import CurlTransport

/// Against `openssl s_server`, where there is one.
@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl")))
struct TLSTests {
    @Test(arguments: EngineHost.allCases) func certificatesAreChecked(_ host: EngineHost) async throws {
        let server = try await TLSServer()
        defer { server.stop() }
        try await withEngine(on: host) { engine in
            let url = "https://localhost:\(server.port)/"
            let unknown = await failure { _ = try await engine.execute(CurlRequest(url: url)) }
            #expect(unknown?.kind == .tlsFailed)
            #expect(unknown?.requestSent == false)

            let trusted = CurlTLS(caFile: server.certificate)
            let response = try await engine.execute(CurlRequest(url: url, tls: trusted))
            #expect(response.status == 200)

            // The certificate names localhost only.
            let otherName = await failure {
                _ = try await engine.execute(CurlRequest(url: "https://127.0.0.1:\(server.port)/", tls: trusted))
            }
            #expect(otherName?.kind == .tlsFailed)

            let unverified = try await engine.execute(
                CurlRequest(url: "https://127.0.0.1:\(server.port)/", tls: CurlTLS(verify: false)))
            #expect(unverified.status == 200)

            // What one request was allowed, the next is not.
            let again = await failure { _ = try await engine.execute(CurlRequest(url: url)) }
            #expect(again?.kind == .tlsFailed)
        }
    }

    @Test(arguments: EngineHost.allCases) func clientCertificatesAreSent(_ host: EngineHost) async throws {
        let server = try await TLSServer(["-Verify", "1", "-verify_return_error"], trustingItself: true)
        defer { server.stop() }
        try await withEngine(on: host) { engine in
            let url = "https://localhost:\(server.port)/"
            let without = await failure {
                _ = try await engine.execute(CurlRequest(url: url, tls: CurlTLS(caFile: server.certificate)))
            }
            #expect(without != nil)
            let tls = CurlTLS(caFile: server.certificate, clientCert: server.certificate, clientKey: server.key)
            let response = try await engine.execute(CurlRequest(url: url, tls: tls))
            #expect(response.status == 200)
        }
    }
}

/// `openssl s_server -www` with a certificate of its own for `localhost`.
private final class TLSServer: Sendable {
    let certificate: String
    let key: String
    let port: Int
    private let directory: TemporaryDirectory
    private let process: ChildProcess

    init(_ options: [String] = [], trustingItself: Bool = false) async throws {
        directory = try TemporaryDirectory("tls")
        certificate = directory.path("cert.pem")
        key = directory.path("key.pem")
        try await OpenSSL.makeCertificate(alternativeNames: "DNS:localhost", key: key, certificate: certificate)
        let trust = trustingItself ? ["-CAfile", certificate] : []
        let process = try await ChildProcess.start(
            .init("openssl", ["s_server", "-www", "-accept", "0", "-cert", certificate, "-key", key] + trust + options))
        // It says `ACCEPT 0.0.0.0:PORT` when it listens.
        var found: Int?
        try await requireSoon {
            let lines = process.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            let line = lines.first { $0.hasPrefix("ACCEPT") }
            found = line?.split(separator: ":").last.flatMap { Int($0) }
            return found != nil
        }
        port = try #require(found)
        self.process = process
    }

    func stop() { process.signalGroup(SIGKILL) }
}
