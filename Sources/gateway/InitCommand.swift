import ArgumentParser
import CCases
import Foundation

/// `gateway init`: a configuration to begin with.
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Writes a gateway.json for a case, and a README that explains its keys.",
        discussion: """
            demo: six chat types on the tool-server's demo data; django: an existing Django site's database; old-api: \
            an old chat API, also as MCP tools; servers: several MCP servers behind one endpoint.
            """)

    @Option(name: .customLong("case"), help: "The case: demo, django, old-api or servers.")
    var kind = ConfigurationCase.demo

    @Flag(help: "Replace files that are there.")
    var force = false

    @Argument(help: "The directory of the files; it is made where it does not exist.")
    var directory = "."

    func run() throws {
        let files = kind.files.map { (url: URL(filePath: directory).appending(path: $0.name), content: $0.content) }
        let present = files.map(\.url.relativePath).filter { access($0, F_OK) == 0 }
        if !force, !present.isEmpty {
            throw InitError(description: "\(present.joined(separator: " and ")): there already; --force replaces it")
        }
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            for file in files { try file.content.write(to: file.url, options: force ? .atomic : .withoutOverwriting) }
        } catch {
            throw InitError(description: "\(directory): cannot be written (\(error.localizedDescription))")
        }
        for file in files { print("wrote \(file.url.relativePath)") }
        let configuration = files[0].url.relativePath
        print("next: gateway check --config \(configuration); \(files[1].url.relativePath) explains the keys")
    }
}

/// A case as it is embedded in the executable.
struct ConfigurationCase: ExpressibleByArgument {
    private let embedded: configuration_case

    static var all: [ConfigurationCase] {
        (0..<configuration_case_count()).map { ConfigurationCase(embedded: configuration_case_at($0)) }
    }

    static var demo: ConfigurationCase { all[0] }
    static var allValueStrings: [String] { all.map(\.defaultValueDescription) }
    static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }

    private init(embedded: configuration_case) {
        self.embedded = embedded
    }

    init?(argument: String) {
        guard let found = Self.all.first(where: { $0.defaultValueDescription == argument }) else { return nil }
        self = found
    }

    var defaultValueDescription: String { String(cString: embedded.name) }

    /// The configuration, then what explains it. Not README.md, which a directory may have already.
    var files: [(name: String, content: Data)] {
        [
            ("gateway.json", Data(bytes: embedded.configuration, count: embedded.configuration_count)),
            ("README-gateway.md", Data(bytes: embedded.readme, count: embedded.readme_count)),
        ]
    }
}

/// Reason for which nothing was written.
private struct InitError: Error, CustomStringConvertible {
    let description: String
}
