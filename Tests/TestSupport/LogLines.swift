package import JSON

extension ChildProcess {
    /// The JSON lines of standard error.
    package var logLines: [JSONValue] {
        error.split(separator: "\n").compactMap { try? JSONValue(parsing: Array($0.utf8)) }
    }

    /// The address that a listener of either product announced, such as `127.0.0.1:41234`.
    package func address(of listener: String) -> String? {
        logLines.last { $0["message"]?.string == "listening" && $0["listener"]?.string == listener }?["address"]?.string
    }
}
