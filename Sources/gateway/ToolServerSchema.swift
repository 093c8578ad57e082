import Foundation
import JSON

/// JSON Schema of the tool-server's section, as printed by the executable beside this one.
///
/// It is run and not linked: the gateway would have to contain databases and accounts for it, and the keys should be
/// those of the installed tool-server.
enum ToolServerSchema {
    /// Returns the schema; nil where there is no such executable, or it fails.
    static func read() -> JSONValue? {
        guard let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else { return nil }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: own).deletingLastPathComponent().appending(path: "tool-server")
        process.arguments = ["schema"]
        process.standardInput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        guard (try? process.run()) != nil else { return nil }
        let data = (try? output.fileHandleForReading.readToEnd()) ?? Data()
        process.waitUntilExit()
        return process.terminationStatus == 0 ? try? JSONValue(parsing: Array(data)) : nil
    }
}
