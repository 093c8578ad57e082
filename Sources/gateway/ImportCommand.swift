import APIImport
import ArgumentParser
import CurlTransport

/// The command `gateway import`: makes configuration from documents that a company already has.
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Prints configuration made from a document, for review.",
        discussion: "What the configuration cannot express, and what was guessed, is listed on standard error.",
        subcommands: [ImportOpenAPICommand.self, ImportHARCommand.self])
}

struct ImportOpenAPICommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "openapi",
        abstract: "Prints an upstream of kind http from an OpenAPI 3.0, 3.1 or Swagger 2 document, JSON or YAML.")

    @Argument(help: "The document, a file or a URL. Files that it refers to must be beside or below it.")
    var file: String

    @Option(help: "The name of the upstream.")
    var upstream: String

    @Option(help: "Operations to take, by operationId or by the tool's name, separated by commas.")
    var only: String?

    func run() async throws {
        let names = (only ?? "").split(separator: ",").map { String($0.filter { $0 != " " }) }
        guard file.hasPrefix("http://") || file.hasPrefix("https://") else {
            return ImportOutput.write(try OpenAPIImport.run(file, upstream: upstream, only: names))
        }
        let content = try await Self.fetch(file)
        ImportOutput.write(try OpenAPIImport.run(content, named: file, upstream: upstream, only: names))
    }

    /// Fetches the document itself, none of its references. A redirect is not followed: it may lead anywhere.
    private static func fetch(_ url: String) async throws -> [UInt8] {
        let engine = CurlEngine(label: "import")
        var request = CurlRequest(url: url, timeout: .seconds(60), maximumResponseBytes: 64 << 20)
        request.headers.append(name: "Accept", value: "application/json, application/yaml, text/yaml, */*")
        let response: CurlResponse
        do {
            response = try await engine.execute(request)
        } catch {
            await engine.shutdown()
            throw FetchError(description: "\(url): \(error)")
        }
        await engine.shutdown()
        guard response.status == 200 else {
            throw FetchError(description: "\(url): expected status 200, found \(response.status)")
        }
        return Array(response.body.readableBytesView)
    }
}

struct ImportHARCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "har",
        abstract: "Prints chat.types guessed from a browser's recording (HAR) of the old front-end.",
        discussion: "Names of types and fields, and the shapes of replies, come out of the recording; no values do.")

    @Argument(help: "The recording.")
    var file: String

    func run() throws {
        ImportOutput.write(try HARImport.run(file))
    }
}

/// Reason why a document cannot be fetched.
private struct FetchError: Error, CustomStringConvertible {
    let description: String
}

private enum ImportOutput {
    static func write(_ imported: ImportedConfiguration) {
        print(imported.text)
        for note in imported.notes { GatewayCommand.write(note) }
    }
}
