package import JSON
import JSONSchema
package import MCP

/// A tool written as Swift types: the schemas follow from `Arguments` and `Output`, and the arguments of
/// ``call(_:context:)`` have been validated.
package protocol TypedTool: Tool {
    associatedtype Arguments: Decodable & Sendable
    associatedtype Output: Codable & Sendable

    static var name: String { get }
    static var title: String { get }
    static var description: String { get }
    static var annotations: ToolAnnotations { get }

    func call(_ arguments: Arguments, context: ToolContext) async throws -> Output
}

extension TypedTool {
    package var definition: ToolDefinition {
        get throws {
            ToolDefinition(
                name: Self.name, title: Self.title, description: Self.description,
                inputSchema: try TypedToolSchema.input(Arguments.self),
                outputSchema: try TypedToolSchema.output(Output.self), annotations: Self.annotations)
        }
    }

    package func call(_ arguments: JSONObject, context: ToolContext) async throws -> CallToolResult {
        let typed: Arguments
        do {
            typed = try JSONValue.object(arguments).decode(Arguments.self)
        } catch {
            throw ToolError("Invalid arguments: \(error)", status: 400)
        }
        let output = try JSONValue(encoding: try await call(typed, context: context))
        guard case .object = output else { return .structured(.object(["result": output])) }
        return .structured(output)
    }
}

/// Arguments of a tool that takes none.
package struct NoArguments: Codable, Hashable, Sendable {
    /// Creates a value without members.
    package init() {}
}

enum TypedToolSchema {
    static func input(_ type: (some Decodable).Type) throws -> JSONValue {
        let schema = try JSONSchemaReflection.schema(of: type)
        guard var object = schema.object, object["type"]?.string == "object", object["properties"] == nil else {
            return schema
        }
        object["properties"] = .object([:])
        return .object(object)
    }

    /// Returns the output schema of a type. Legacy revisions allow only object results, so anything else is wrapped,
    /// and so is its schema.
    static func output(_ type: (some Decodable).Type) throws -> JSONValue {
        let schema = try JSONSchemaReflection.schema(of: type)
        guard schema["type"]?.string != "object" else { return schema }
        return .object([
            "type": .string("object"), "properties": .object(["result": schema]),
            "required": .array([.string("result")]),
        ])
    }
}
