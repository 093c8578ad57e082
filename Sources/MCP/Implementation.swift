package import JSON

/// Name and version of a client or server, for people and logs.
package struct Implementation: Hashable, Sendable {
    /// Name for programs.
    package var name: String
    /// Version of the implementation.
    package var version: String
    /// Name for people, from 2025-06-18.
    package var title: String?
    /// Description for people, from 2025-11-25.
    package var description: String?
    /// URI of the website, from 2025-11-25.
    package var websiteURL: String?
    /// Icons for user interfaces.
    package var icons: [Icon]

    /// Describes a client or a server.
    package init(
        name: String, version: String, title: String? = nil, description: String? = nil, websiteURL: String? = nil,
        icons: [Icon] = []
    ) {
        self.name = name
        self.version = version
        self.title = title
        self.description = description
        self.websiteURL = websiteURL
        self.icons = icons
    }

    /// Reads the JSON form.
    /// - Throws: ``MCPDecodingError`` naming the member that is malformed.
    package init(json: JSONValue) throws(MCPDecodingError) {
        let reader = try MCPReader(json, "implementation")
        self.init(
            name: try reader.string("name"), version: try reader.string("version"),
            title: try reader.optionalString("title"), description: try reader.optionalString("description"),
            websiteURL: try reader.optionalString("websiteUrl"), icons: try Icon.list(reader))
    }

    /// Returns the JSON form in a revision.
    package func json(for version: MCPVersion) -> JSONValue {
        var object: JSONObject = ["name": .string(name)]
        if version.hasTitles { object.set("title", title) }
        object["version"] = .string(self.version)
        if version.hasIcons {
            object.set("description", description)
            object.set("websiteUrl", websiteURL)
        }
        object.setIcons(icons, for: version)
        return .object(object)
    }
}

/// A picture for a server, tool, prompt or resource, from 2025-11-25.
package struct Icon: Hashable, Sendable {
    /// URI of the picture, https or data.
    package var source: String
    /// Media type of the content.
    package var mimeType: String?
    /// Sizes, such as `48x48` or `any`.
    package var sizes: [String]?
    /// Theme for which it is made, `light` or `dark`.
    package var theme: String?

    /// Refers to an image.
    package init(source: String, mimeType: String? = nil, sizes: [String]? = nil, theme: String? = nil) {
        self.source = source
        self.mimeType = mimeType
        self.sizes = sizes
        self.theme = theme
    }

    init(_ json: JSONValue, _ path: String) throws(MCPDecodingError) {
        let reader = try MCPReader(json, path)
        self.init(
            source: try reader.string("src"), mimeType: try reader.optionalString("mimeType"),
            sizes: try reader.optionalStrings("sizes"), theme: try reader.optionalString("theme"))
    }

    static func list(_ reader: MCPReader) throws(MCPDecodingError) -> [Icon] {
        try reader.optionalList("icons") { json, path throws(MCPDecodingError) in try Icon(json, path) } ?? []
    }

    var json: JSONValue {
        var object: JSONObject = ["src": .string(source)]
        object.set("mimeType", mimeType)
        object.set("sizes", sizes)
        object.set("theme", theme)
        return .object(object)
    }
}

extension JSONObject {
    mutating func setIcons(_ icons: [Icon], for version: MCPVersion) {
        if !icons.isEmpty, version.hasIcons { self["icons"] = .array(icons.map(\.json)) }
    }
}
