import Foundation
import TestSupport
import Testing

@testable import CurlTransport

/// Against `openssl s_server`, where there is one.
@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl")))
struct TLSTests {
    @Test func certificatesAreChecked() async throws {
        let server = try await TLSServer()
        defer { server.stop() }
        try await withEngine { engine in
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

    @Test func clientCertificatesAreSent() async throws {
        let server = try await TLSServer(["-Verify", "1", "-verify_return_error"], trustingItself: true)
        defer { server.stop() }
        try await withEngine { engine in
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
private final class TLSServer {
    let certificate: String
    let key: String
    let port: Int
    private let directory: URL
    private let process: Process

    init(_ options: [String] = [], trustingItself: Bool = false) async throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let certificate = directory.appendingPathComponent("cert.pem").path
        let key = directory.appendingPathComponent("key.pem").path
        let output = directory.appendingPathComponent("output")
        try Data().write(to: output)
        self.certificate = certificate
        self.key = key

        // Nothing here waits in a blocking call: the tests share few threads.
        let make = Self.openssl([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate,
        ])
        make.standardError = FileHandle.nullDevice
        try make.run()
        try await requireSoon { !make.isRunning }

        let trust = trustingItself ? ["-CAfile", certificate] : []
        process = Self.openssl(
            ["s_server", "-www", "-accept", "0", "-cert", certificate, "-key", key] + trust + options)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = FileHandle.nullDevice
        try process.run()
        // It says `ACCEPT 0.0.0.0:PORT` when it listens.
        var found: Int?
        try await requireSoon {
            let text = (try? String(contentsOf: output, encoding: .utf8)) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix("ACCEPT") }
            if text.hasSuffix("\n") { found = line?.split(separator: ":").last.flatMap { Int($0) } }
            return found != nil
        }
        port = try #require(found)
    }

    func stop() {
        process.terminate()
        try? FileManager.default.removeItem(at: directory)
    }

    private static func openssl(_ arguments: [String]) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        return process
    }
}
