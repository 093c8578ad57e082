import Foundation
import TestSupport
import Testing

@testable import ServiceRuntime

@Suite struct CertificateExpiryTests {
    /// Made by openssl.
    private func certificate(_ directory: TemporaryDirectory, days: Int) async throws -> String {
        let name = "certificate-\(days).pem"
        try await OpenSSL.makeCertificate(
            days: days, key: directory.path("key.pem"), certificate: directory.path(name))
        return try String(contentsOfFile: directory.path(name), encoding: .utf8)
    }

    private func days(_ time: Double?) -> Double? {
        time.map { (($0 - Date().timeIntervalSince1970) / 86_400).rounded() }
    }

    // 40 years from now the year has four digits (RFC 5280 section 4.1.2.5).
    @Test(arguments: [1, 90, 14_600])
    func theEndOfACertificateIsRead(_ lifetime: Int) async throws {
        let directory = try TemporaryDirectory("certificates")
        let text = try await certificate(directory, days: lifetime)
        #expect(days(CertificateExpiry.earliest(inPEM: text)) == Double(lifetime))
        #expect(days(CertificateExpiry.earliest(in: directory.path("certificate-\(lifetime).pem"))) == Double(lifetime))
    }

    @Test func theFirstEndInAChainCounts() async throws {
        let directory = try TemporaryDirectory("certificates")
        let long = try await certificate(directory, days: 90)
        let short = try await certificate(directory, days: 5)
        #expect(days(CertificateExpiry.earliest(inPEM: long + short)) == 5)
    }

    @Test func keysAndTextBesideACertificateAreSkipped() async throws {
        let directory = try TemporaryDirectory("certificates")
        let certificate = try await certificate(directory, days: 5)
        let key = try String(contentsOfFile: directory.path("key.pem"), encoding: .utf8)
        #expect(days(CertificateExpiry.earliest(inPEM: "subject=CN = test\n" + certificate + "\n" + key)) == 5)
        #expect(days(CertificateExpiry.earliest(inPEM: key + certificate)) == 5)
    }

    @Test func whatIsNoCertificateHasNoEnd() async throws {
        let directory = try TemporaryDirectory("certificates")
        let text = try await certificate(directory, days: 5)
        let lines = text.split(separator: "\n")
        #expect(CertificateExpiry.earliest(in: directory.path("missing.pem")) == nil)
        #expect(CertificateExpiry.earliest(in: directory.path("key.pem")) == nil)
        #expect(CertificateExpiry.earliest(inPEM: "") == nil)
        // Cut short at every line: nothing is read past the end.
        for count in 1..<lines.count {
            let cut = lines.prefix(count).joined(separator: "\n")
            #expect(CertificateExpiry.earliest(inPEM: cut) == nil)
            #expect(
                CertificateExpiry.earliest(inPEM: cut + "\n-----END CERTIFICATE-----\n") == nil
                    || count == lines.count - 1)
        }
    }

    /// An element of DER with a short length.
    private func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] { [tag, UInt8(content.count)] + content }

    @Test(arguments: ["兆兆0101000000Z", "26兆兆01000000Z", "2601010000٠٠Z"])
    func digitsOfOtherScriptsAreNoTime(_ end: String) {
        let validity = element(0x30, element(0x17, []) + element(0x17, Array(end.utf8)))
        let fields = element(0x02, [1]) + element(0x30, []) + element(0x30, []) + validity
        let der = Data(element(0x30, element(0x30, fields)))
        let text = "-----BEGIN CERTIFICATE-----\n\(der.base64EncodedString())\n-----END CERTIFICATE-----\n"
        #expect(CertificateExpiry.earliest(inPEM: text) == nil)
    }
}
