/// A regular expression of JSON Schema (ECMA-262 with the `u` flag, searched anywhere in the text), run as an automaton.
///
/// Backtracking engines take exponential time on patterns like `(a+)+$`; this one follows all alternatives at once, so
/// its time is bounded by characters × instructions. Patterns come from other people's servers, hence also bounds on
/// the program (4,000 instructions) and on the work (20 million steps, about 0.2 s; longer texts are refused).
///
/// Known: literals, `.`, classes, `\d \D \w \W \s \S \b \B`, `\t \n \r \f \v \0 \cX \xHH \uHHHH \u{…}`, general
/// categories `\p{L}`, groups, alternation, `* + ? {n,m}` and their lazy forms, `^` and `$` for the ends of the text.
/// Look-around, back references and script properties are not regular or not known here: `.unsupported`.
struct JSONSchemaPattern: Sendable {
    enum ParseError: Error {
        case malformed(String)
        case unsupported(String)
    }

    static let maximumInstructions = 4_000
    static let maximumSteps = 20_000_000

    enum Instruction: Sendable {
        case scalar(JSONSchemaScalarSet)
        case split(Int, Int)
        case jump(Int)
        case start
        case end
        case wordBoundary(Bool)
        case match
    }

    /// The pattern as written.
    let source: String
    private let program: [Instruction]

    init(_ source: String) throws(ParseError) {
        self.source = source
        var parser = JSONSchemaPatternParser(source)
        var compiler = JSONSchemaPatternCompiler()
        try compiler.emit(try parser.parse())
        program = compiler.program + [.match]
    }

    /// Whether the pattern occurs in `text`; nil when the text is too long to tell within the bound.
    func matches(_ text: String) -> Bool? {
        let scalars = Array(text.unicodeScalars)
        guard (scalars.count + 1).multipliedReportingOverflow(by: program.count).partialValue <= Self.maximumSteps
        else {
            return nil
        }
        var current: [Int] = []
        var next: [Int] = []
        // The position at which an instruction was last entered: each is entered once per position.
        var entered = [Int](repeating: -1, count: program.count)
        var stack: [Int] = []
        for position in 0...scalars.count {
            if enter(0, position, scalars, &current, &entered, &stack) { return true }
            guard position < scalars.count else { return false }
            next.removeAll(keepingCapacity: true)
            for index in current {
                guard case .scalar(let set) = program[index], set.contains(scalars[position]) else { continue }
                if enter(index + 1, position + 1, scalars, &next, &entered, &stack) { return true }
            }
            swap(&current, &next)
        }
        return false
    }

    /// Follows everything that consumes no character from `start`; true when that reaches the match.
    private func enter(
        _ start: Int, _ position: Int, _ scalars: [Unicode.Scalar], _ threads: inout [Int], _ entered: inout [Int],
        _ stack: inout [Int]
    ) -> Bool {
        stack.append(start)
        while let index = stack.popLast() {
            guard entered[index] != position else { continue }
            entered[index] = position
            switch program[index] {
            case .scalar: threads.append(index)
            case .split(let first, let second):
                stack.append(second)
                stack.append(first)
            case .jump(let target): stack.append(target)
            case .start: if position == 0 { stack.append(index + 1) }
            case .end: if position == scalars.count { stack.append(index + 1) }
            case .wordBoundary(let wanted):
                let before = position > 0 && JSONSchemaScalarSet.word.contains(scalars[position - 1])
                let after = position < scalars.count && JSONSchemaScalarSet.word.contains(scalars[position])
                if (before != after) == wanted { stack.append(index + 1) }
            case .match:
                stack.removeAll(keepingCapacity: true)
                return true
            }
        }
        return false
    }
}

/// A set of Unicode scalars: ranges and general categories, possibly turned around.
struct JSONSchemaScalarSet: Sendable {
    var ranges: [ClosedRange<UInt32>] = []
    var categories: [(categories: Set<Unicode.GeneralCategory>, isNegated: Bool)] = []
    /// Negated classes inside a class, such as `\D` in `[\D]`.
    var negations: [JSONSchemaScalarSet] = []
    var isNegated = false

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        let value = scalar.value
        let found =
            ranges.contains { $0.contains(value) }
            || categories.contains { $0.categories.contains(scalar.properties.generalCategory) != $0.isNegated }
            || negations.contains { $0.contains(scalar) }
        return found != isNegated
    }

    init(_ ranges: ClosedRange<UInt32>..., isNegated: Bool = false) {
        self.ranges = ranges
        self.isNegated = isNegated
    }

    init(categories: Set<Unicode.GeneralCategory>, isNegated: Bool) {
        self.categories = [(categories, isNegated)]
    }

    mutating func insert(_ other: JSONSchemaScalarSet) {
        if other.isNegated || !other.negations.isEmpty {
            negations.append(other)
        } else {
            ranges += other.ranges
            categories += other.categories
        }
    }

    var inverted: JSONSchemaScalarSet {
        var copy = self
        copy.isNegated.toggle()
        return copy
    }

    static let digit = JSONSchemaScalarSet(0x30...0x39)
    static let word = JSONSchemaScalarSet(0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A)
    static let space = JSONSchemaScalarSet(
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
        0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF)
    /// What `.` does not match: line terminators.
    static let anything = JSONSchemaScalarSet(0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029, isNegated: true)
}

/// A parsed pattern.
indirect enum JSONSchemaPatternNode {
    case scalar(JSONSchemaScalarSet)
    case sequence([JSONSchemaPatternNode])
    case alternatives([JSONSchemaPatternNode])
    case repeated(JSONSchemaPatternNode, minimum: Int, maximum: Int?)
    case assertion(JSONSchemaPattern.Instruction)
}

/// Lays a parsed pattern out as instructions. Counted repetitions are written out, so the size is bounded here.
private struct JSONSchemaPatternCompiler {
    private(set) var program: [JSONSchemaPattern.Instruction] = []

    private mutating func append(_ instruction: JSONSchemaPattern.Instruction) throws(JSONSchemaPattern.ParseError) {
        guard program.count < JSONSchemaPattern.maximumInstructions else { throw .unsupported("pattern too large") }
        program.append(instruction)
    }

    mutating func emit(_ node: JSONSchemaPatternNode) throws(JSONSchemaPattern.ParseError) {
        switch node {
        case .scalar(let set): try append(.scalar(set))
        case .assertion(let instruction): try append(instruction)
        case .sequence(let nodes): for node in nodes { try emit(node) }
        case .alternatives(let nodes):
            var exits: [Int] = []
            for (index, node) in nodes.enumerated() {
                guard index + 1 < nodes.count else {
                    try emit(node)
                    break
                }
                let split = program.count
                try append(.split(0, 0))
                try emit(node)
                exits.append(program.count)
                try append(.jump(0))
                program[split] = .split(split + 1, program.count)
            }
            for exit in exits { program[exit] = .jump(program.count) }
        case .repeated(let node, let minimum, let maximum):
            for _ in 0..<minimum { try emit(node) }
            guard let maximum else {
                let split = program.count
                try append(.split(0, 0))
                try emit(node)
                try append(.jump(split))
                program[split] = .split(split + 1, program.count)
                return
            }
            var splits: [Int] = []
            for _ in minimum..<max(minimum, maximum) {
                splits.append(program.count)
                try append(.split(0, 0))
                try emit(node)
            }
            for split in splits { program[split] = .split(split + 1, program.count) }
        }
    }
}
