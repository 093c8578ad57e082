import JSON
import JSONConfiguration
import Logging
import MCPServer
import Store

extension ToolError {
    static func unknownModel(known: [String]) -> ToolError {
        ToolError(
            "Unknown model",
            structured: ["error": "Unknown model", "models": .array(known.map { .string($0) })])
    }

    static let notAuthenticated = ToolError("Not authenticated")
    /// Error for a result that the memory budget of the process has no room for.
    static let overloaded = ToolError("Overloaded, try again", status: 503)

    /// Converts the store's errors into tool errors that say what the caller can do; the details are logged. A
    /// temporary failure is declared as 503.
    static func translating<Value>(
        _ context: ToolContext, _ body: () async throws -> Value
    ) async throws -> Value {
        do {
            return try await body()
        } catch {
            throw translated(error, context)
        }
    }

    @inline(never)
    private static func translated(_ error: any Error, _ context: ToolContext) -> any Error {
        switch error {
        case SearchError.notAuthenticated: return ToolError.notAuthenticated
        case SearchError.invalidPosition: return PageCursor.invalid
        case SearchError.tooManyScans:
            return ToolError(
                "Too many searches are running, try again or search for three letters or more", status: 503)
        case let error as StoreError:
            context.logger.error(
                "store failed", metadata: ["error.kind": "\(error.kind.rawValue)", "error": "\(error)"])
            return switch error.kind {
            case .busy: ToolError("The database is busy, try again", status: 503)
            case .full: ToolError("The database is full")
            case .timeout: ToolError("The database took too long")
            default: ToolError("The database is unavailable", status: 503)
            }
        default: return error
        }
    }
}

extension SQLToolConfiguration {
    /// Converts the errors of the tool's statement like ``ToolError/translating(_:_:)``.
    func translating<Value>(
        _ context: ToolContext, _ body: () async throws -> Value
    ) async throws -> Value {
        try await ToolError.translating(context) {
            do {
                return try await body()
            } catch let error where error is StatementError || error is ConfigurationErrors {
                // A table or column has been dropped, or the statement cannot use a value; names are only logged.
                context.logger.error("statement refused", metadata: ["tool": "\(name)", "error": "\(error)"])
                throw failure
            }
        }
    }
}
