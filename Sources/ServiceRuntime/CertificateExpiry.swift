import Foundation
import SwiftASN1
import X509

/// Ends of validity of the certificates in a PEM file (RFC 5280, section 4.1.2.5).
package enum CertificateExpiry {
    /// Largest file; a chain is short, so a larger one is a mistake in the path.
    private static let maximumBytes = 1 << 20

    /// Returns the first end of validity among the file's certificates, in seconds since the epoch: a chain is as good
    /// as its weakest link. Nil when the file cannot be read, or when one of its certificates cannot, or without any.
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
