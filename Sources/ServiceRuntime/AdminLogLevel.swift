package import JSON
package import Logging
package import Observability

/// Route `/loglevel` of an admin listener: GET returns the level in force, PUT with a level's name as the body changes
/// it until the next reload or restart. Changes are logged at notice.
package struct AdminLogLevel: Sendable {
    /// Path of the route.
    package static let path = "/loglevel"

    /// Response to a request.
    package struct Answer: Sendable {
        /// HTTP status.
        package let status: Int
        package let body: JSONValue
        /// Allowed methods, with 405.
        package let allow: String?
    }

    private let log: LogOutput?
    private let logger: Logger

    /// - Parameter log: Destination of the process's log, whose level it is; nil: there is none, and the level stays.
    package init(_ log: LogOutput?, logger: Logger) {
        self.log = log
        self.logger = logger
    }

    /// Returns the response to a request.
    package func answer(_ method: String, body: String) -> Answer {
        switch method {
        case "GET", "HEAD":
            return answer
        case "PUT":
            let name = body.trimmed(of: [" ", "\t", "\r", "\n", "\""])
            guard let level = Logger.Level(rawValue: name) else {
                let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                return Answer(status: 400, body: ["error": .string("Expected one of \(known)")], allow: nil)
            }
            let old = current
            log?.level = level
            logger.notice(
                "log level changed",
                metadata: ["log.level": "\(level.rawValue)", "log.level.before": "\(old.rawValue)"])
            return answer
        default:
            return Answer(status: 405, body: ["error": "Method not allowed"], allow: "GET, HEAD, PUT")
        }
    }

    private var current: Logger.Level { log?.level ?? .info }
    private var answer: Answer { Answer(status: 200, body: ["level": .string(current.rawValue)], allow: nil) }
}

extension String {
    fileprivate func trimmed(of characters: Set<Character>) -> String {
        var rest = self[...]
        while let first = rest.first, characters.contains(first) { rest.removeFirst() }
        while let last = rest.last, characters.contains(last) { rest.removeLast() }
        return String(rest)
    }
}
