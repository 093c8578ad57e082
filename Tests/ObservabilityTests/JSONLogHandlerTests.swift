import Foundation
import JSON
import Logging
import Testing

@testable import Observability

@Suite struct JSONLogHandlerTests {
    /// Runs `body` with a logger whose lines go to a pipe, and gives the lines back.
    private func lines(level: Logger.Level = .info, _ body: (Logger, LogOutput) -> Void) throws -> [JSONValue] {
        let pipe = Pipe()
        let output = LogOutput(fileDescriptor: pipe.fileHandleForWriting.fileDescriptor, level: level)
        body(output.logger("test"), output)
        output.flush()
        try pipe.fileHandleForWriting.close()
        let text = try #require(try pipe.fileHandleForReading.readToEnd())
        return try text.split(separator: 10).map { try JSONValue(parsing: Array($0)) }
    }

    @Test func aLineIsOneObjectWithConstantMessageAndFlatMetadata() throws {
        let lines = try lines { logger, _ in
            logger.info(
                "listening",
                metadata: ["listener": "main", "address": "127.0.0.1:1", "count": .stringConvertible(3), "a.b": ["x"]])
        }
        #expect(lines.count == 1)
        #expect(lines[0]["message"]?.string == "listening")
        #expect(lines[0]["listener"]?.string == "main")
        #expect(lines[0]["count"]?.int == 3)
        #expect(lines[0]["a.b"]?[0]?.string == "x")
        #expect(lines[0]["level"]?.string == "info")
        #expect(lines[0]["logger"]?.string == "test")
    }

    @Test func hostileTextStaysInsideItsLine() throws {
        let lines = try lines { logger, _ in
            logger.info(
                "x",
                metadata: [
                    "value": "a\nb\"c\u{0}\u{2028}", "message": "mine", "http.path": "/\u{202E}gnp\u{9B}31m",
                    "list": ["\u{7F}"],
                ])
        }
        #expect(lines.count == 1)
        #expect(lines[0]["value"]?.string == "a\nb\"c\\u{0}\\u{2028}")
        #expect(lines[0]["http.path"]?.string == "/\\u{202E}gnp\\u{9B}31m")
        #expect(lines[0]["list"]?[0]?.string == "\\u{7F}")
        #expect(lines[0]["message"]?.string == "x")
        #expect(lines[0]["metadata.message"]?.string == "mine")
    }

    @Test func theLevelChangesAtRunTimeForEveryLogger() throws {
        let lines = try lines { logger, output in
            logger.debug("hidden")
            output.level = .debug
            logger.debug("shown")
        }
        #expect(lines.map { $0["message"]?.string } == ["shown"])
    }

    @Test func knownSecretsNeverReachALine() throws {
        let lines = try lines { logger, output in
            output.redact("s3cret-key")
            logger.info("calling", metadata: ["url": "http://x/?k=s3cret-key", "list": ["s3cret-key"]])
        }
        #expect(!lines[0].text.contains("s3cret-key"))
        #expect(lines[0]["url"]?.string == "http://x/?k=<redacted>")
    }
}
