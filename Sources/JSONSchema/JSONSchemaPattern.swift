/// A regular expression of JSON Schema (ECMA-262 with the `u` flag, searched anywhere in the text), run as an
/// automaton.
///
/// Backtracking engines take exponential time on patterns like `(a+)+$`; this one follows all alternatives at once, so
/// its time is limited by characters × instructions. Patterns come from other servers, hence also limits on the pattern
/// (64 KiB), on the program (4,000 instructions), and on the work of both reading it and matching a text, which are
/// taken from the budget of their schema and of the value.
///
/// Supported: literals, `.`, classes, `\d \D \w \W \s \S \b \B`, `\t \n \r \f \v \0 \cX \xHH \uHHHH \u{…}`, general
/// categories `\p{L}`, groups, alternation, `* + ? {n,m}` and their lazy forms, `^` and `$` for the ends of the text.
/// Look-around, back references and script properties are not regular or not supported: `.unsupported`.
struct JSONSchemaPattern: Sendable {
    enum ParseError: Error {
        case malformed(String)
        case unsupported(String)
        /// The budget is spent.
        case tooLarge
    }

    static let maximumLength = 65_536
    static let maximumInstructions = 4_000
    /// Number of instructions that cost a step of the budget.
    private static let instructionsPerStep = 8
    /// Approximate memory of a scalar of a pattern while it is parsed, and of an instruction.
    private static let bytesPerScalar = 128
    private static let bytesPerInstruction = 64

    enum Instruction: Sendable {
        case scalar(JSONSchemaScalarSet)
        case split(Int, Int)
        case jump(Int)
        case start
        case end
        case wordBoundary(Bool)
        case match
    }

    /// Pattern as written.
    let source: String
    private let program: [Instruction]

    init(_ source: String, _ budget: inout JSONSchemaBudget) throws(ParseError) {
        let length = source.utf8.count
        guard length <= Self.maximumLength else { throw .unsupported("pattern too long") }
        guard budget.spend(steps: length, bytes: length * Self.bytesPerScalar) else { throw .tooLarge }
        self.source = source
        var parser = JSONSchemaPatternParser(source)
        let node = try parser.parse()
        // The size of the program is computed before it is written: repetitions multiply.
        let size = node.size
        guard size < Self.maximumInstructions else { throw .unsupported("pattern too large") }
        guard budget.spend(steps: size, bytes: size * Self.bytesPerInstruction) else { throw .tooLarge }
        var compiler = JSONSchemaPatternCompiler()
        compiler.emit(node)
        program = compiler.program + [.match]
    }

    /// Returns whether the pattern occurs in `text`; nil when the budget does not suffice.
    func matches(_ text: String, _ budget: inout JSONSchemaBudget) -> Bool? {
        guard budget.spend(steps: 1 + program.count / Self.instructionsPerStep) else { return nil }
        var run = JSONSchemaPatternRun(program)
        var before: Unicode.Scalar?
        var credit = 0
        for scalar in text.unicodeScalars {
            if run.enter(before: before, after: scalar) { return true }
            run.advance(over: scalar)
            credit += run.takeWork()
            if credit >= Self.instructionsPerStep {
                guard budget.spend(steps: credit / Self.instructionsPerStep) else { return nil }
                credit %= Self.instructionsPerStep
            }
            before = scalar
        }
        return run.enter(before: before, after: nil)
    }
}

/// One search: the set of instructions that wait for the next character.
private struct JSONSchemaPatternRun {
    private let program: [JSONSchemaPattern.Instruction]
    /// Instructions at which to continue at this position, before those that follow without a character.
    private var starts: [Int] = []
    private var waiting: [Int] = []
    private var stack: [Int] = []
    /// Position at which an instruction was last entered: each is entered once per position.
    private var entered: [Int]
    private var position = 0
    private var work = 0

    init(_ program: [JSONSchemaPattern.Instruction]) {
        self.program = program
        entered = [Int](repeating: -1, count: program.count)
    }

    /// Returns the number of instructions executed since the last call.
    mutating func takeWork() -> Int {
        defer { work = 0 }
        return work
    }

    /// Follows all instructions that consume no character at this position; true when they reach the match.
    mutating func enter(before: Unicode.Scalar?, after: Unicode.Scalar?) -> Bool {
        waiting.removeAll(keepingCapacity: true)
        stack.removeAll(keepingCapacity: true)
        // A match may begin anywhere.
        stack.append(0)
        stack.append(contentsOf: starts)
        while let index = stack.popLast() {
            guard entered[index] != position else { continue }
            entered[index] = position
            work += 1
            switch program[index] {
            case .scalar: waiting.append(index)
            case .split(let first, let second):
                stack.append(second)
                stack.append(first)
            case .jump(let target): stack.append(target)
            case .start: if before == nil { stack.append(index + 1) }
            case .end: if after == nil { stack.append(index + 1) }
            case .wordBoundary(let wanted):
                let isInside = before.map(JSONSchemaScalarSet.word.contains) ?? false
                if (isInside != (after.map(JSONSchemaScalarSet.word.contains) ?? false)) == wanted {
                    stack.append(index + 1)
                }
            case .match: return true
            }
        }
        return false
    }

    /// Consumes a character.
    mutating func advance(over scalar: Unicode.Scalar) {
        starts.removeAll(keepingCapacity: true)
        for index in waiting {
            guard case .scalar(let set) = program[index] else { continue }
            work += set.cost
            if set.contains(scalar) { starts.append(index + 1) }
        }
        position += 1
    }
}

/// A parsed pattern.
indirect enum JSONSchemaPatternNode {
    case scalar(JSONSchemaScalarSet)
    case sequence([JSONSchemaPatternNode])
    case alternatives([JSONSchemaPatternNode])
    case repeated(JSONSchemaPatternNode, minimum: Int, maximum: Int?)
    case assertion(JSONSchemaPattern.Instruction)

    /// Number of instructions of its program; saturates far above the limit.
    var size: Int {
        let most = JSONSchemaPattern.maximumInstructions + 1
        switch self {
        case .scalar, .assertion: return 1
        case .sequence(let nodes): return nodes.reduce(0) { min($0 + $1.size, most) }
        case .alternatives(let nodes):
            return nodes.reduce(2 * (nodes.count - 1)) { min($0 + $1.size, most) }
        case .repeated(let node, let minimum, let maximum):
            // Both counts are at most 1,000, and a size is at most a little above 4,000.
            let size = node.size
            guard size > 0 else { return 0 }
            let optional = maximum.map { max($0 - minimum, 0) * (size + 1) } ?? size + 2
            return min(minimum * size + optional, most)
        }
    }
}

/// Compiler of a parsed pattern into instructions. Counted repetitions are unrolled; the size has been checked before.
private struct JSONSchemaPatternCompiler {
    private(set) var program: [JSONSchemaPattern.Instruction] = []

    mutating func emit(_ node: JSONSchemaPatternNode) {
        switch node {
        case .scalar(let set): program.append(.scalar(set))
        case .assertion(let instruction): program.append(instruction)
        case .sequence(let nodes): for node in nodes { emit(node) }
        case .alternatives(let nodes): emitAlternatives(nodes)
        // A repetition of nothing is nothing, however often.
        case .repeated(let node, let minimum, let maximum) where node.size > 0: emit(node, minimum, maximum)
        case .repeated: break
        }
    }

    private mutating func emitAlternatives(_ nodes: [JSONSchemaPatternNode]) {
        var exits: [Int] = []
        for (index, node) in nodes.enumerated() {
            guard index + 1 < nodes.count else {
                emit(node)
                break
            }
            let split = program.count
            program.append(.split(0, 0))
            emit(node)
            exits.append(program.count)
            program.append(.jump(0))
            program[split] = .split(split + 1, program.count)
        }
        for exit in exits { program[exit] = .jump(program.count) }
    }

    private mutating func emit(_ node: JSONSchemaPatternNode, _ minimum: Int, _ maximum: Int?) {
        for _ in 0..<minimum { emit(node) }
        guard let maximum else {
            let split = program.count
            program.append(.split(0, 0))
            emit(node)
            program.append(.jump(split))
            program[split] = .split(split + 1, program.count)
            return
        }
        var splits: [Int] = []
        for _ in minimum..<max(minimum, maximum) {
            splits.append(program.count)
            program.append(.split(0, 0))
            emit(node)
        }
        for split in splits { program[split] = .split(split + 1, program.count) }
    }
}
