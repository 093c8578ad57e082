import Foundation
import SwiftASN1
import X509

/// Ends of validity of the certificates in a PEM file (RFC 5280, section 4.1.2.5).
package enum CertificateExpiry {
    /// Largest file in bytes; a chain is small, so a larger file means that the path is wrong.
    private static let maximumBytes = 1 << 20

    /// Returns the first end of validity among the file's certificates, in seconds since the epoch: a chain is as good
    /// as its weakest link. Nil when the file or one of its certificates cannot be read, or when it has none.
    package static func earliest(in path: String) -> Double? {
        guard let data = FileManager.default.contents(atPath: path), data.count <= maximumBytes else { return nil }
        return earliest(inPEM: String(decoding: data, as: UTF8.self))
    }

    static func earliest(inPEM text: String) -> Double? {
        guard let documents = try? PEMDocument.parseMultiple(pemString: text) else { return nil }
        var earliest: Date?
        // A file may hold the key too.
        for document in documents where document.discriminator == Certificate.defaultPEMDiscriminator {
            guard let certificate = try? Certificate(pemDocument: document) else { return nil }
            earliest = min(earliest ?? certificate.notValidAfter, certificate.notValidAfter)
        }
        return earliest?.timeIntervalSince1970
    }
}
