#if DEBUG

import JSON

@testable import APIImport

extension FuzzEntry {
    static let importEntries = [
        FuzzEntry("openapi") { bytes in
            guard let imported = try? OpenAPIImport.run(Array(bytes), named: "document", upstream: "api")
            else { return }
            try require(
                (try? JSONValue(parsing: imported.text))?.object != nil, "the imported section is no JSON object")
        },
        FuzzEntry("har") { bytes in
            guard let imported = try? HARImport.run(Array(bytes)) else { return }
            try require(
                (try? JSONValue(parsing: imported.text))?.object != nil, "the imported section is no JSON object")
        },
        FuzzEntry("yaml") { bytes in _ = try? YAMLDocument.parse(Array(bytes)) },
    ]
}

#endif
