import JSON
import MCP
import MCPServer

/// The fixture's resources.
struct FixtureResources: ResourceProvider {
    private static let list = [
        Resource(
            uri: "test://static-text", name: "Static text", description: "A text resource", mimeType: "text/plain"),
        Resource(
            uri: "test://static-binary", name: "Static binary", description: "An image", mimeType: "image/png"),
        Resource(
            uri: "test://watched-resource", name: "Watched resource", description: "To subscribe to",
            mimeType: "text/plain"),
    ]

    let templates = [
        ResourceTemplate(
            uriTemplate: "test://template/{id}/data", name: "Template", description: "Data by id",
            mimeType: "application/json")
    ]

    func resources(after cursor: String?, context: ToolContext) async throws -> ResourcePage { ResourcePage(Self.list) }

    func read(_ uri: String, context: ToolContext) async throws -> ReadResourceResult? {
        switch uri {
        case "test://static-text":
            return text(uri, "text/plain", "This is the content of the static text resource.")
        case "test://static-binary":
            return ReadResourceResult(contents: [
                ResourceContents(uri: uri, mimeType: "image/png", body: .blob(FixtureData.png))
            ])
        case "test://watched-resource":
            return text(uri, "text/plain", "Watched resource content")
        default:
            let parts = uri.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 5, uri.hasPrefix("test://template/"), parts[4] == "data", !parts[3].isEmpty else {
                return nil
            }
            let id = parts[3]
            let body: JSONValue = [
                "id": .string(String(id)), "templateTest": true, "data": .string("Data for ID: \(id)"),
            ]
            return text(uri, "application/json", body.text)
        }
    }

    private func text(_ uri: String, _ mimeType: String, _ text: String) -> ReadResourceResult {
        ReadResourceResult(contents: [ResourceContents(uri: uri, mimeType: mimeType, text: text)])
    }
}
