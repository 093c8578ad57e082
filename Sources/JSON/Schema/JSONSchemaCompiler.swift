/// Turns a schema into nodes of assertions. Works through a queue, so neither nesting nor references recurse.
struct JSONSchemaCompiler {
    static let maximumNodes = 20_000

    private(set) var nodes: [[JSONSchemaAssertion]] = []
    private(set) var unchecked: [String] = []

    private struct Pending {
        let node: Int
        let schema: JSONValue
        let pointer: String
    }

    private let root: JSONValue
    private var pending: [Pending] = []
    private var indices: [String: Int] = [:]
    private var directory: JSONSchemaDirectory

    init(root: JSONValue) {
        self.root = root
        directory = JSONSchemaDirectory(root)
    }

    /// The first node is the schema at `reference`.
    mutating func compile(startingAt reference: String = "#") throws(JSONSchemaError) {
        let pointer = try directory.resolve(reference, from: "")
        _ = try node(at: pointer)
        while let next = pending.popLast() {
            nodes[next.node] = try assertions(of: next.schema, at: next.pointer)
        }
    }

    /// The node of the schema at `pointer`, compiled later.
    private mutating func node(at pointer: String) throws(JSONSchemaError) -> Int {
        if let index = indices[pointer] { return index }
        guard let schema = JSONPointer.value(at: pointer, in: root) else {
            throw .unsupportedReference("#" + pointer, at: "#")
        }
        return try enqueue(schema, pointer)
    }

    private mutating func enqueue(_ schema: JSONValue, _ pointer: String) throws(JSONSchemaError) -> Int {
        if let index = indices[pointer] { return index }
        guard nodes.count < Self.maximumNodes else { throw .tooLarge }
        let index = nodes.count
        indices[pointer] = index
        nodes.append([])
        pending.append(Pending(node: index, schema: schema, pointer: pointer))
        return index
    }

    private mutating func assertions(
        of schema: JSONValue, at pointer: String
    ) throws(JSONSchemaError) -> [JSONSchemaAssertion] {
        switch schema {
        case .bool(true): return []
        case .bool(false): return [.never]
        case .object(let object):
            var reading = JSONSchemaKeywords(object: object, pointer: pointer)
            return try compile(&reading)
        default: throw .invalid(at: "#" + pointer, reason: "expected an object or a boolean, found \(schema.kind)")
        }
    }

    private mutating func compile(_ keywords: inout JSONSchemaKeywords) throws(JSONSchemaError) -> [JSONSchemaAssertion]
    {
        var list: [JSONSchemaAssertion] = []
        for key in ["$ref", "$dynamicRef"] {
            guard let reference = try keywords.string(key) else { continue }
            guard let target = try? directory.resolve(reference, from: keywords.pointer),
                let node = try? node(at: target)
            else {
                // A table that has overflowed is the only other reason for the second failure.
                guard nodes.count < Self.maximumNodes else { throw .tooLarge }
                throw .unsupportedReference(reference, at: "#" + keywords.pointer)
            }
            list.append(.reference(node))
        }
        try compileScalars(keywords, &list)
        try compileArrays(keywords, &list)
        try compileObjects(keywords, &list)
        try compileCombinators(keywords, &list)
        for key in ["unevaluatedProperties", "unevaluatedItems"] where keywords.object[key] != nil {
            unchecked.append("#\(keywords.pointer)/\(key)")
        }
        return list
    }

    // MARK: Keywords

    private mutating func compileScalars(
        _ keywords: JSONSchemaKeywords, _ list: inout [JSONSchemaAssertion]
    ) throws(JSONSchemaError) {
        if let types = try keywords.types() { list.append(.types(types)) }
        if let constant = keywords.object["const"] { list.append(.constant(constant)) }
        if let values = try keywords.array("enum") { list.append(.enumeration(values)) }
        if let number = try keywords.number("minimum") { list.append(.minimum(number)) }
        if let number = try keywords.number("maximum") { list.append(.maximum(number)) }
        if let number = try keywords.number("exclusiveMinimum") { list.append(.exclusiveMinimum(number)) }
        if let number = try keywords.number("exclusiveMaximum") { list.append(.exclusiveMaximum(number)) }
        if let number = try keywords.number("multipleOf") {
            guard number > JSONNumber(0) else { throw keywords.invalid("multipleOf", "a number above 0") }
            list.append(.multipleOf(number))
        }
        if let count = try keywords.count("minLength") { list.append(.minLength(count)) }
        if let count = try keywords.count("maxLength") { list.append(.maxLength(count)) }
        if let text = try keywords.string("pattern"), let pattern = try pattern(text, keywords, "pattern") {
            list.append(.pattern(pattern))
        }
    }

    /// Nil, and noted as unchecked, for a pattern that the automaton cannot express.
    private mutating func pattern(
        _ text: String, _ keywords: JSONSchemaKeywords, _ key: String
    ) throws(JSONSchemaError) -> JSONSchemaPattern? {
        do throws(JSONSchemaPattern.ParseError) {
            return try JSONSchemaPattern(text)
        } catch {
            switch error {
            case .malformed(let reason): throw .invalid(at: "#\(keywords.pointer)/\(key)", reason: reason)
            case .unsupported:
                unchecked.append("#\(keywords.pointer)/\(key)")
                return nil
            }
        }
    }

    private mutating func compileArrays(
        _ keywords: JSONSchemaKeywords, _ list: inout [JSONSchemaAssertion]
    ) throws(JSONSchemaError) {
        // Draft 7 writes prefixItems as an array in `items`, and the rest as `additionalItems`.
        let isTuple = keywords.object["items"]?.array != nil
        let prefix = try subschemas(isTuple ? "items" : "prefixItems", keywords) ?? []
        let rest = try subschema(isTuple ? "additionalItems" : "items", keywords)
        if !prefix.isEmpty || rest != nil { list.append(.items(prefix: prefix, rest: rest)) }
        if let node = try subschema("contains", keywords) {
            list.append(
                .contains(
                    node, minimum: try keywords.count("minContains") ?? 1, maximum: try keywords.count("maxContains")))
        }
        if let count = try keywords.count("minItems") { list.append(.minItems(count)) }
        if let count = try keywords.count("maxItems") { list.append(.maxItems(count)) }
        if keywords.object["uniqueItems"] == true { list.append(.uniqueItems) }
    }

    private mutating func compileObjects(
        _ keywords: JSONSchemaKeywords, _ list: inout [JSONSchemaAssertion]
    ) throws(JSONSchemaError) {
        if let names = try keywords.strings("required"), !names.isEmpty { list.append(.required(names)) }
        let properties = try namedSubschemas("properties", keywords) ?? []
        var patterns: [(JSONSchemaPattern, Int)] = []
        var skipsPattern = false
        for (text, node) in try namedSubschemas("patternProperties", keywords) ?? [] {
            let key = "patternProperties/\(JSONPointer.escaped(text))"
            if let pattern = try pattern(text, keywords, key) {
                patterns.append((pattern, node))
            } else {
                skipsPattern = true
            }
        }
        var additional = JSONSchemaAdditional.allowed
        if keywords.object["additionalProperties"] == false {
            additional = .forbidden
        } else if let node = try subschema("additionalProperties", keywords) {
            additional = .schema(node)
        }
        // Which names an unreadable pattern covers is unknown, so nothing is held to be additional beside it.
        if skipsPattern { additional = .allowed }
        let isTrivial = if case .allowed = additional { properties.isEmpty && patterns.isEmpty } else { false }
        if !isTrivial {
            list.append(
                .members(
                    properties: Dictionary(properties) { $1 }, patterns: patterns, additional: additional))
        }
        if let node = try subschema("propertyNames", keywords) { list.append(.propertyNames(node)) }
        if let count = try keywords.count("minProperties") { list.append(.minProperties(count)) }
        if let count = try keywords.count("maxProperties") { list.append(.maxProperties(count)) }
        try compileDependencies(keywords, &list)
    }

    private mutating func compileDependencies(
        _ keywords: JSONSchemaKeywords, _ list: inout [JSONSchemaAssertion]
    ) throws(JSONSchemaError) {
        var required: [(String, [String])] = []
        var schemas: [(String, Int)] = []
        for key in ["dependentRequired", "dependentSchemas", "dependencies"] {
            guard let value = keywords.object[key] else { continue }
            guard let object = value.object else { throw keywords.invalid(key, "an object") }
            for (name, dependency) in object {
                if key != "dependentSchemas", let names = dependency.array {
                    required.append((name, names.compactMap(\.string)))
                } else {
                    let pointer = "\(keywords.pointer)/\(key)/\(JSONPointer.escaped(name))"
                    schemas.append((name, try enqueue(dependency, pointer)))
                }
            }
        }
        if !required.isEmpty { list.append(.dependentRequired(required)) }
        if !schemas.isEmpty { list.append(.dependentSchemas(schemas)) }
    }

    private mutating func compileCombinators(
        _ keywords: JSONSchemaKeywords, _ list: inout [JSONSchemaAssertion]
    ) throws(JSONSchemaError) {
        if let nodes = try subschemas("allOf", keywords) { list.append(.allOf(nodes)) }
        if let nodes = try subschemas("anyOf", keywords) { list.append(.anyOf(nodes)) }
        if let nodes = try subschemas("oneOf", keywords) { list.append(.oneOf(nodes)) }
        if let node = try subschema("not", keywords) { list.append(.not(node)) }
        if let condition = try subschema("if", keywords) {
            let then = try subschema("then", keywords)
            let otherwise = try subschema("else", keywords)
            if then != nil || otherwise != nil {
                list.append(.condition(if: condition, then: then, else: otherwise))
            }
        }
    }

    // MARK: Subschemas

    private mutating func subschema(
        _ key: String, _ keywords: JSONSchemaKeywords
    ) throws(JSONSchemaError) -> Int? {
        guard let schema = keywords.object[key] else { return nil }
        return try enqueue(schema, "\(keywords.pointer)/\(key)")
    }

    private mutating func subschemas(
        _ key: String, _ keywords: JSONSchemaKeywords
    ) throws(JSONSchemaError) -> [Int]? {
        guard let schemas = try keywords.array(key) else { return nil }
        var nodes: [Int] = []
        for (index, schema) in schemas.enumerated() {
            nodes.append(try enqueue(schema, "\(keywords.pointer)/\(key)/\(index)"))
        }
        return nodes
    }

    private mutating func namedSubschemas(
        _ key: String, _ keywords: JSONSchemaKeywords
    ) throws(JSONSchemaError) -> [(String, Int)]? {
        guard let value = keywords.object[key] else { return nil }
        guard let object = value.object else { throw keywords.invalid(key, "an object") }
        var nodes: [(String, Int)] = []
        for (name, schema) in object {
            nodes.append((name, try enqueue(schema, "\(keywords.pointer)/\(key)/\(JSONPointer.escaped(name))")))
        }
        return nodes
    }
}
