import CurlTransport
import JSON
import Logging
import MCPClient
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import GatewayCore

/// Calls that pause between two tries, and those that wait for their places. The clock is the event loop's.
@Suite struct PausingCallsTests {
    @Test func aCallThatPausesKeepsItsPlace() throws {
        let stage = try Stage(concurrency: 1)
        stage.call(1)
        stage.call(2)
        #expect(stage.sent == [1])
        // Refused by both servers, it pauses.
        stage.answerAll(.refused)
        stage.answerAll(.refused)
        #expect(stage.running.isEmpty)
        #expect(stage.sent == [1])
        #expect(stage.load == .init(outstanding: 1, waiting: 1))
        stage.advance(.milliseconds(30))
        #expect(stage.running.map(\.number) == [1])
        stage.answerAll(.ok)
        #expect(stage.outcomes[1] == [.answered(.ok)])
        #expect(stage.sent == [1, 2])
        stage.answerAll(.ok)
        #expect(stage.outcomes[2] == [.answered(.ok)])
        #expect(stage.load == .init(outstanding: 0, waiting: 0))
    }

    @Test func theEndOfAPausingCallLetsTheNextOneRun() throws {
        let stage = try Stage(concurrency: 1)
        let first = stage.call(1)
        stage.call(2)
        stage.call(3)
        stage.answerAll(.refused)
        stage.answerAll(.refused)
        first?.cancel()
        first?.cancel()
        #expect(stage.outcomes[1] == [.answered(.cancelled)])
        #expect(stage.sent == [1, 2])
        #expect(stage.load == .init(outstanding: 1, waiting: 1))
        // Its time comes, and nothing happens.
        stage.advance(.seconds(1))
        #expect(stage.running.map(\.number) == [2])
        #expect(stage.load == .init(outstanding: 1, waiting: 1))
        stage.finish()
        #expect(stage.load == .init(outstanding: 0, waiting: 0))
    }

    @Test func aCallWhoseWindowIsOverGivesItsPlaceAway() throws {
        let stage = try Stage(concurrency: 1)
        stage.call(1)
        stage.call(2)
        while stage.outcomes[1] == nil {
            stage.answerAll(.refused)
            stage.advance(.milliseconds(100))
        }
        #expect(stage.outcomes[1] == [.answered(.refused)])
        #expect(stage.running.map(\.number) == [2])
        #expect(stage.load == .init(outstanding: 1, waiting: 0))
        stage.finish()
        #expect(stage.load == .init(outstanding: 0, waiting: 0))
    }

    @Test func aCallThatIsRefusedAfterItWasCancelledIsNotSentAgain() throws {
        let stage = try Stage(concurrency: 1)
        let first = stage.call(1)
        first?.cancel()
        #expect(stage.outcomes[1] == nil)
        // The refusal was on its way.
        stage.answerAll(.refused)
        #expect(stage.outcomes[1] == [.answered(.refused)])
        stage.advance(.seconds(1))
        #expect(stage.sends == 1)
        #expect(stage.load == .init(outstanding: 0, waiting: 0))
    }

    @Test func aRefusalThatComesAtOnceLeavesTheLaterTryToBeCancelled() throws {
        let stage = try Stage(concurrency: 1)
        stage.refusals = 1
        let first = stage.call(1)
        #expect(stage.running.map(\.number) == [1])
        first?.cancel()
        #expect(stage.running.map(\.isCancelled) == [true])
        stage.answerAll(.cancelled)
        #expect(stage.outcomes[1] == [.answered(.cancelled)])
    }

    @Test func aCallThatFindsEveryBreakerOpenHoldsAPlaceAsWell() throws {
        let stage = try Stage(concurrency: 1, breaker: ["failures": 1, "pause": "50ms"])
        stage.call(1)
        stage.answerAll(.ok)
        let second = stage.call(2)
        stage.answerAll(.refused)
        stage.answerAll(.refused)
        second?.cancel()
        #expect(stage.load == .init(outstanding: 0, waiting: 0))
        stage.call(3)
        #expect(stage.sent == [1, 2])
        #expect(stage.load == .init(outstanding: 1, waiting: 0))
        stage.call(4)
        #expect(stage.load == .init(outstanding: 1, waiting: 1))
        stage.advance(.milliseconds(200))
        #expect(stage.running.map(\.number) == [3])
        stage.answerAll(.ok)
        stage.answerAll(.ok)
        #expect(stage.sent == [1, 2, 3, 4])
        #expect(stage.outcomes[4] == [.answered(.ok)])
        #expect(stage.load == .init(outstanding: 0, waiting: 0))
    }

    /// Calls come, are answered, refused, cancelled and tried again at random. A model that knows neither servers nor
    /// pauses says which of them hold a place, which wait, and in what order they are sent.
    @Test(arguments: 0..<40 as Range<UInt64>) func theBoundHoldsWhateverHappens(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let concurrency = Int.random(in: 1...4, using: &random)
        let stage = try Stage(
            servers: Int.random(in: 1...3, using: &random), concurrency: concurrency, queue: 5)
        var model = Model(concurrency: concurrency, queue: 5)
        var handles: [Int: any RunningCall] = [:]
        var pauses = 0
        for number in 0..<400 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0...2:
                handles[number] = stage.call(number)
                model.come(number)
            case 3...6:
                guard let running = stage.running.randomElement(using: &random) else { break }
                running.end(running.isCancelled && Bool.random(using: &random) ? .cancelled : .refused)
            case 7:
                stage.running.randomElement(using: &random)?.end(.ok)
            case 8:
                let live = (model.placed + model.waiting).sorted()
                guard let chosen = live.randomElement(using: &random) else { break }
                handles[chosen]?.cancel()
                model.leaveQueue(chosen)
            default:
                stage.advance(.milliseconds(Int64.random(in: 1...300, using: &random)))
            }
            model.free(stage.outcomes.keys)
            pauses += model.placed.count - stage.running.count
            #expect(stage.running.count <= concurrency)
            #expect(stage.load == .init(outstanding: model.placed.count, waiting: model.waiting.count))
            #expect(stage.sent == model.started)
            #expect(stage.refused == model.refused)
            #expect(stage.outcomes.values.allSatisfy { $0.count == 1 })
        }
        #expect(pauses > 0)
        for number in (model.placed + model.waiting).sorted() { handles[number]?.cancel() }
        stage.finish(.refused)
        #expect(stage.load == .init(outstanding: 0, waiting: 0))
        #expect(stage.outcomes.count == handles.count + model.refused.count)
    }

    /// Places and a queue.
    private struct Model {
        let concurrency: Int
        let queue: Int
        var placed: [Int] = []
        var waiting: [Int] = []
        var refused: [Int] = []
        /// In the order in which they got their places.
        var started: [Int] = []

        mutating func come(_ number: Int) {
            if placed.count == concurrency, waiting.count == queue {
                refused.append(number)
            } else {
                waiting.append(number)
                fill()
            }
        }

        mutating func leaveQueue(_ number: Int) { waiting.removeAll { $0 == number } }

        /// These have their outcomes.
        mutating func free(_ ended: some Sequence<Int>) {
            let ended = Set(ended)
            placed.removeAll { ended.contains($0) }
            fill()
        }

        private mutating func fill() {
            while placed.count < concurrency, !waiting.isEmpty {
                let next = waiting.removeFirst()
                placed.append(next)
                started.append(next)
            }
        }
    }
}

/// A load balancer in front of servers whose answers the test gives.
private final class Stage {
    struct Load: Equatable {
        var outstanding: Int
        var waiting: Int
    }

    enum Outcome: Equatable {
        case answered(ScriptedEndpoint.Answer)
        case refused
    }

    let record = ScriptedEndpoint.Record()
    private(set) var outcomes: [Int: [Outcome]] = [:]
    private let loop = EmbeddedEventLoop()
    private let balancer: LoadBalancer

    init(
        servers: Int = 2, concurrency: Int, queue: Int = 10, breaker: JSONValue = ["failures": 0]
    ) throws {
        let further = (1..<servers).map { JSONValue.string("http://127.0.0.1:\($0 + 1)/mcp/") }
        let document = try TestConfiguration.document(
            upstream: "",
            [
                "upstreams": [
                    "tools": [
                        "url": "http://127.0.0.1:1/mcp/", "urls": .array(further), "retryWindow": "1s",
                        "concurrency": .number(JSONNumber(concurrency)), "queue": .number(JSONNumber(queue)),
                        "queueTimeout": "1h", "breaker": breaker,
                    ]
                ]
            ])
        let configuration = try TestConfiguration.read(document)
        let upstream = try #require(configuration.upstreams.first)
        // Time before the beginning cannot be told.
        loop.advanceTime(by: .seconds(1000))
        let record = record
        balancer = LoadBalancer(
            Upstream(
                upstream, responseLimit: 1024, forward: configuration.forward, logger: Logger(label: "test")),
            endpoints: (0..<servers).map { _ in ScriptedEndpoint(record) }, eventLoop: loop, workers: 1)
    }

    var running: [ScriptedEndpoint.Running] { record.running }
    /// The calls in the order in which they were sent first.
    var sent: [Int] { record.sent }
    var sends: Int { record.sends }
    var load: Load { Load(outstanding: balancer.upstream.load.outstanding, waiting: balancer.upstream.load.waiting) }
    /// Those for which there was no room.
    var refused: [Int] { outcomes.filter { $0.value == [.refused] }.keys.sorted() }

    /// How many of the next calls are refused before `send` returns.
    var refusals: Int {
        get { record.refusals }
        set { record.refusals = newValue }
    }

    @discardableResult
    func call(_ number: Int) -> (any RunningCall)? {
        let call = MCPToolCall(
            tool: "\(number)", arguments: ByteBuffer(string: "{}"), credentials: .anonymous,
            deadline: loop.now + .hours(1))
        return balancer.start(
            .tool(call),
            for: Receiver { [self] outcome in outcomes[number, default: []].append(Self.outcome(outcome)) })
    }

    private static func outcome(_ outcome: UpstreamOutcome) -> Outcome {
        guard case .failure(let failure) = outcome else { return .answered(.ok) }
        switch failure.kind {
        case nil: return .refused
        case .cancelled: return .answered(.cancelled)
        default: return .answered(.refused)
        }
    }

    private final class Receiver: CallReceiver {
        private let completion: (UpstreamOutcome) -> Void

        init(_ completion: @escaping (UpstreamOutcome) -> Void) {
            self.completion = completion
        }

        func callAccepted() {}
        func callEnded(_ outcome: UpstreamOutcome) { completion(outcome) }
    }

    /// Answers the calls that are with a server at this moment.
    func answerAll(_ answer: ScriptedEndpoint.Answer) {
        for running in running { running.end(answer) }
    }

    /// Answers until no call is with a server.
    func finish(_ answer: ScriptedEndpoint.Answer = .ok) {
        while !running.isEmpty { answerAll(answer) }
    }

    func advance(_ time: TimeAmount) { loop.advanceTime(by: time) }
}

private final class ScriptedEndpoint: Endpoint {
    enum Answer { case ok, refused, cancelled }

    /// Cancelling asks for the end; the test gives it.
    final class Running: RunningCall {
        let number: Int
        private(set) var isCancelled = false
        private let record: Record
        private var attempt: CallAttempt?

        init(_ number: Int, _ record: Record, _ attempt: CallAttempt) {
            self.number = number
            self.record = record
            self.attempt = attempt
        }

        func cancel() { isCancelled = true }

        func end(_ answer: Answer) {
            record.running.removeAll { $0 === self }
            attempt.take()?.ended(answer.outcome)
        }
    }

    /// The calls that all servers were sent.
    final class Record {
        var running: [Running] = []
        var sent: [Int] = []
        var sends = 0
        var refusals = 0
    }

    private let record: Record
    let retriesRefusals = false

    init(_ record: Record) {
        self.record = record
    }

    func send(_ call: UpstreamCall, _ attempt: CallAttempt) -> any RunningCall {
        guard case .tool(let tool) = call, let number = Int(tool.tool) else { return EndedCall() }
        record.sends += 1
        if !record.sent.contains(number) { record.sent.append(number) }
        let running = Running(number, record, attempt)
        record.running.append(running)
        if record.refusals > 0 {
            record.refusals -= 1
            running.end(.refused)
        }
        return running
    }

    func check(
        _ credentials: ForwardedCredentials, deadline: NIODeadline,
        completion: @escaping (Result<ToolCatalog, UpstreamError>) -> Void
    ) {}
}

extension ScriptedEndpoint.Answer {
    fileprivate var outcome: UpstreamOutcome {
        switch self {
        case .ok: .response(CurlResponse(status: 200, headers: []))
        case .cancelled: .cancelled
        case .refused:
            .failure(
                UpstreamError(CurlError(kind: .couldNotConnect, message: "refused", requestSent: false)))
        }
    }
}
