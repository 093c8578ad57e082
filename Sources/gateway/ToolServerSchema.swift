import Foundation
import JSON

/// The JSON Schema of the tool-server's section, as the executable beside this one prints it.
///
/// Asked and not linked: the gateway would have to carry databases and accounts for it, and the keys are those of the
/// tool-server that is installed.
enum ToolServerSchema {
    /// Nil where there is no such executable, or one that cannot say.
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
