import Glibc

/// One of the two products, started by a test and ready.
package struct RunningService: Sendable {
    package let product: BuiltProduct
    package let process: ChildProcess
    /// `HOST:PORT` of the main listener.
    package let address: String
    /// `HOST:PORT` of the admin listener.
    package let adminAddress: String

    package var url: String { "http://\(address)" }
    package var adminURL: String { "http://\(adminAddress)" }
    package var port: Int { Int(address.split(separator: ":").last ?? "") ?? 0 }
    package var client: HTTPTestClient { HTTPTestClient(url) }
    package var admin: HTTPTestClient { HTTPTestClient(adminURL) }

    /// Starts an executable and waits until it listens.
    ///
    /// - Throws: `ProcessError` with its logs when it ends or takes too long.
    package static func start(
        _ product: BuiltProduct, _ arguments: [String], environment: [String: String] = [:]
    ) async throws -> RunningService {
        let process = try await ChildProcess.start(.init(product.path, arguments, environment: environment))
        var (main, admin): (String?, String?)
        await eventually(within: .seconds(30)) {
            (main, admin) = (process.address(of: "main"), process.address(of: "admin"))
            return (main != nil && admin != nil) || process.exit != nil
        }
        guard let main, let admin else {
            process.signalGroup(SIGKILL)
            throw ProcessError("\(product.rawValue) does not listen\n\(process.log)")
        }
        return RunningService(product: product, process: process, address: main, adminAddress: admin)
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// - Throws: `ProcessError` with the last answer and the logs.
    package func ready(within limit: Duration = .seconds(20)) async throws {
        var last = "no answer"
        let isReady = await eventually(within: limit, every: .milliseconds(20)) {
            guard let answer = try? await admin.get("/readyz") else { return process.exit != nil }
            last = "\(answer.status) \(answer.text)"
            return answer.status == 200
        }
        guard isReady, process.exit == nil else {
            throw ProcessError("\(product.rawValue) is not ready: \(last)\n\(process.log)")
        }
    }

    /// SIGTERM; the process must drain and exit with status 0.
    ///
    /// - Throws: `ProcessError` with the logs otherwise.
    package func stop(within limit: Duration = .seconds(20)) async throws {
        let exit = try await process.stop(within: limit)
        guard exit == .status(0) else { throw ProcessError("\(product.rawValue) ended with \(exit)\n\(process.log)") }
    }

    /// The gateway with the configuration that ships, in front of `upstream`.
    package static func gateway(
        upstream: String, configuration: String = Checkout.path("gateway.json"), listen: String = "127.0.0.1:0",
        environment: [String: String] = [:]
    ) async throws -> RunningService {
        try await start(
            .gateway,
            ["--config", configuration, "--listen", listen, "--admin", "127.0.0.1:0", "--upstream", upstream],
            environment: environment)
    }

    /// The tool-server over HTTP.
    package static func toolServer(
        database: String, port: Int = 0, environment: [String: String] = [:]
    ) async throws -> RunningService {
        try await start(
            .toolServer,
            [
                "--transport", "http", "--port", "\(port)", "--admin", "127.0.0.1:0", "--database", database,
            ], environment: environment)
    }
}
