#if DEBUG

import Crypto
import Foundation
import JSON
import MCP

@testable import Assistant
@testable import Identity
@testable import OAuthServer

extension FuzzEntry {
    static let toolServerEntries = [
        FuzzEntry("django-session") { bytes in
            // What a forger sends, and the same with a genuine signature.
            let text = String(decoding: bytes, as: UTF8.self)
            let signing = DjangoSigning(secretKey: "a key")
            _ = signing.session(text)
            _ = signing.session("\(text):1abcde:\(djangoSignature("\(text):1abcde"))")
        },
        FuzzEntry("token") { bytes in
            guard let token = try? SignedToken(String(decoding: bytes, as: UTF8.self)) else { return }
            try require(token.signedBytes.count < bytes.count, "a signature over more than the token")
        },
        FuzzEntry("provider-stream") { bytes in
            var parser = SSEParser(maximumEventBytes: 1 << 16)
            var turn = ChatCompletionStream(holdLimit: 256)
            guard let events = try? parser.feed(bytes) else { return }
            for event in events { guard (try? turn.receive(event.data)) != nil else { return } }
        },
        FuzzEntry("markdown") { bytes in try document("text.md", bytes) },
        FuzzEntry("html") { bytes in try document("text.html", bytes) },
        FuzzEntry("form") { bytes in
            guard let fields = FormFields(Array(bytes)) else { return }
            _ = fields["redirect_uri"].flatMap(RedirectURI.init)
            _ = fields.repeated
            if let uri = RedirectURI(String(decoding: bytes, as: UTF8.self)) {
                let answer = uri.adding([("code", "a&b=c#d"), ("state", "x y")])
                try require(RedirectURI(answer)?.host == uri.host, "parameters change the host of \(uri.text)")
            }
        },
    ]

    private static func document(_ name: String, _ bytes: UnsafeRawBufferPointer) throws {
        guard let format = DocumentFile.Format(fileName: name),
            let file = try? DocumentFile(name: name, format: format, bytes: Array(bytes))
        else { return }
        // A character reference of four bytes, such as &Ll;, stands for at most as many.
        let size = file.body.utf8.count
        try require(size <= 4 * bytes.count + 1024, "\(bytes.count) bytes became \(size)")
    }

    private static func djangoSignature(_ text: String) -> String {
        let salt = "django.contrib.sessions.SessionStoresigner"
        let key = SymmetricKey(data: SHA256.hash(data: Array((salt + "a key").utf8)))
        let code = HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)
        let text = Data(code).base64EncodedString().replacing("=", with: "")
        return text.replacing("+", with: "-").replacing("/", with: "_")
    }
}

#endif
