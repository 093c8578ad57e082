import JSON
import MCP
import MCPClient
import Synchronization

/// Requests named by the context, one after the other, each with one line of JSON on standard output: what the
/// interoperability tests drive and read. The first line describes the server.
///
/// A step is `{"method", "params"}`, with `"cancelAfter"` in milliseconds perhaps; `{"parallel": [step…]}`;
/// `{"listen": filter, "during": step, "until": n}`, which ends when `n` notifications have come; `{"pause": true}`,
/// which waits for a line on standard input.
struct Steps {
    let client: any MCPConversation
    let notifications: NotificationLog

    func run(_ steps: [JSONValue]) async throws {
        let description = try await client.connect()
        emit([
            "version": .string(description.version.rawValue),
            "server": description.serverInfo.map { .string($0.name) } ?? .null,
        ])
        // Header annotations are known from the list.
        if description.capabilities.tools != nil { _ = try await client.listTools() }
        for step in steps { emit(await perform(step)) }
    }

    private func emit(_ value: JSONValue) {
        print(value.text)
        flushOutput()
    }

    private func perform(_ step: JSONValue) async -> JSONValue {
        if step["pause"] != nil {
            emit(["paused": true])
            _ = readLine()
            return ["resumed": true]
        }
        if let steps = step["parallel"]?.array {
            return .array(
                await withTaskGroup(of: (Int, JSONValue).self) { group in
                    for (index, step) in steps.enumerated() {
                        group.addTask { (index, await request(step)) }
                    }
                    var answers = [JSONValue](repeating: .null, count: steps.count)
                    for await (index, answer) in group { answers[index] = answer }
                    return answers
                })
        }
        if let filter = step["listen"] { return await listen(filter, step) }
        return await request(step)
    }

    private func request(_ step: JSONValue) async -> JSONValue {
        let progress = ProgressLog()
        let task = Task {
            try await client.request(
                step["method"]?.string ?? "", params: step["params"]?.object, onProgress: { progress.add($0) })
        }
        if let milliseconds = step["cancelAfter"]?.int {
            try? await Task.sleep(for: .milliseconds(milliseconds))
            task.cancel()
        }
        var answer = Self.answer(await task.result)
        if !progress.values.isEmpty { answer["progress"] = .array(progress.values) }
        let told = notifications.take()
        if !told.isEmpty { answer["notifications"] = .array(told.map(\.json)) }
        return .object(answer)
    }

    private static func answer(_ outcome: Result<JSONObject, any Error>) -> JSONObject {
        switch outcome {
        case .success(let result):
            return ["result": .object(result)]
        case .failure(let failure as MCPCallError):
            var answer: JSONObject = ["failure": .string("\(failure.kind)"), "detail": .string(failure.detail)]
            if let error = failure.rpcError { answer["error"] = error.json }
            return answer
        case .failure(let error):
            return ["failure": .string("\(error)")]
        }
    }

    private func listen(_ filter: JSONValue, _ step: JSONValue) async -> JSONValue {
        let wanted = step["until"]?.int ?? 1
        let (opened, open) = AsyncStream.makeStream(of: Void.self)
        let told = await withTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { open.finish() }
                do {
                    try await client.listen(to: try SubscriptionFilter(json: filter), onOpen: { open.yield() })
                } catch is CancellationError {
                    return
                } catch {
                    notifications.add(JSONRPCNotification(method: "failed", params: ["error": .string("\(error)")]))
                }
            }
            if let during = step["during"] {
                for await _ in opened { break }
                _ = try? await client.request(during["method"]?.string ?? "", params: during["params"]?.object)
            }
            let end = ContinuousClock.now + .seconds(5)
            while notifications.count < wanted, ContinuousClock.now < end {
                try? await Task.sleep(for: .milliseconds(10))
            }
            group.cancelAll()
            return notifications.take()
        }
        return ["notifications": .array(told.map(\.json))]
    }
}

/// Progress of one request.
private final class ProgressLog: Sendable {
    private let log = Mutex<[JSONValue]>([])

    func add(_ progress: MCPProgress) {
        let value: JSONValue = [
            "progress": .number(JSONNumber(progress.progress)),
            "total": progress.total.map { .number(JSONNumber($0)) } ?? .null,
            "message": progress.message.map { .string($0) } ?? .null,
        ]
        log.withLock { $0.append(value) }
    }

    var values: [JSONValue] { log.withLock { $0 } }
}
