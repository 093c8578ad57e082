import JSON
import MCPServer
import Store

/// Values that a call binds to a statement: those that it gives, and what its caller's identity says.
extension SQLToolConfiguration {
    /// Returns the values of the statement's parameters.
    /// - Throws: ``ToolError`` for a value that the database does not have, such as a number that no 64-bit integer holds, for
    ///   an anonymous caller where the statement needs one, and for a caller without the needed claim.
    func bound(
        _ given: JSONObject, in statement: StatementText, for principal: Principal?
    ) throws(ToolError) -> [StoreValue] {
        var values: [StoreValue] = []
        for name in statement.parameters {
            guard let argument = arguments.first(where: { $0.name == name }) else {
                values.append(.null)
                continue
            }
            if let source = argument.source {
                values.append(try argument.bound(source, of: principal))
            } else if let json = given[name] ?? argument.defaultValue {
                guard let value = argument.bound(json) else {
                    throw ToolError("Invalid arguments: \(name): out of range", status: 400)
                }
                values.append(value)
            } else {
                values.append(.null)
            }
        }
        return values
    }

    /// The variables of the statement's transaction.
    /// - Throws: ``ToolError`` for an anonymous caller, and for one without the needed claim.
    func sessionVariables(for principal: Principal?) throws(ToolError) -> [SessionVariable] {
        var variables: [SessionVariable] = []
        for (name, source) in session {
            guard let principal else { throw .notAuthenticated }
            guard let text = source.text(of: principal) else { throw .unknown(source) }
            variables.append(SessionVariable(name: name, value: text))
        }
        return variables
    }
}

extension SQLToolConfiguration.Argument {
    fileprivate func bound(_ source: CallerSource, of principal: Principal?) throws(ToolError) -> StoreValue {
        guard let principal else { throw .notAuthenticated }
        guard let json = source.value(of: principal) else { throw .unknown(source) }
        guard let value = bound(json) else {
            throw ToolError(
                "The caller's \(source) is not \(items == nil ? "" : "a list of ")\(value.type.rawValue)", status: 403)
        }
        return value
    }
}

extension ToolError {
    /// Claims that the caller's credential lacks.
    fileprivate static func unknown(_ source: CallerSource) -> ToolError {
        ToolError("The caller has no \(source)", status: 403)
    }
}
