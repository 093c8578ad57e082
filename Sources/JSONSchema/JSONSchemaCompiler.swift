import JSON

/// Compiler of a schema into nodes of assertions. It uses a queue, so that neither nesting nor references recurse.
struct JSONSchemaCompiler {
    static let maximumNodes = 20_000
    static let maximumUnchecked = 100
    /// Approximate size of a node with a keyword or two.
    private static let bytesPerNode = 200

    private(set) var nodes: [[JSONSchemaAssertion]] = []
    private(set) var unchecked: [String] = []
    private(set) var budget: JSONSchemaBudget

    private let assertsDates: Bool
    private var pending: [(node: Int, place: Int)] = []
    /// Node by place.
    private var compiled: [Int: Int] = [:]
    private var places: JSONSchemaPlaces

    init(root: JSONValue, assertsDates: Bool = false, budget: JSONSchemaBudget) throws(JSONSchemaError) {
        self.assertsDates = assertsDates
        self.budget = budget
        places = try JSONSchemaPlaces(root, &self.budget)
    }

    /// Compiles everything to which the schema at `reference` leads; that schema is the first node.
    mutating func compile(startingAt reference: String) throws(JSONSchemaError) {
        guard let start = try places.resolve(reference, from: JSONSchemaPlaces.root, &budget) else {
            throw .unsupportedReference(reference, at: "#")
        }
        _ = try node(at: start)
        while let (node, place) = pending.popLast() {
            do throws(JSONSchemaError) {
                nodes[node] = try assertions(of: places.value(at: place), at: place)
            } catch {
                guard case .invalid(let keyword, let reason) = error else { throw error }
                let pointer = places.pointer(to: place)
                throw .invalid(at: keyword.isEmpty ? pointer : "\(pointer)/\(keyword)", reason: reason)
            }
        }
    }

    /// Returns the node of the schema at a place, compiled later.
    private mutating func node(at place: Int) throws(JSONSchemaError) -> Int {
        if let node = compiled[place] { return node }
        guard nodes.count < Self.maximumNodes, budget.spend(steps: 10, bytes: Self.bytesPerNode) else {
            throw .tooLarge
        }
        let node = nodes.count
        compiled[place] = node
        nodes.append([])
        pending.append((node, place))
        return node
    }

    private mutating func assertions(
        of schema: JSONValue, at place: Int
    ) throws(JSONSchemaError) -> [JSONSchemaAssertion] {
        switch schema {
        case .bool(true): return []
        case .bool(false): return [.never]
        case .object(let object): return try compile(JSONSchemaKeywords(object: object, place: place))
        default: throw .invalid(at: "", reason: "expected an object or a boolean, found \(schema.kind)")
        }
    }

    private mutating func compile(_ keywords: JSONSchemaKeywords) throws(JSONSchemaError) -> [JSONSchemaAssertion] {
        var list: [JSONSchemaAssertion] = []
        for key in ["$ref", "$dynamicRef"] {
            guard let reference = try keywords.string(key) else { continue }
            guard let target = try places.resolve(reference, from: keywords.place, &budget) else {
                throw .unsupportedReference(reference, at: places.pointer(to: keywords.place))
            }
            list.append(.reference(try node(at: target)))
        }
        try compileScalars(keywords, &list)
        try compileArrays(keywords, &list)
        try compileObjects(keywords, &list)
        try compileCombinators(keywords, &list)
        for key in ["unevaluatedProperties", "unevaluatedItems"] where keywords.object[key] != nil {
            noteUnchecked(keywords, key)
        }
        return list
    }

    private mutating func noteUnchecked(_ keywords: JSONSchemaKeywords, _ key: String) {
        guard unchecked.count < Self.maximumUnchecked else { return }
        unchecked.append(places.pointer(to: keywords.place, key))
    }

    /// Pays for a list of the schema.
    private mutating func pay(for count: Int) throws(JSONSchemaError) {
        guard budget.spend(steps: count, bytes: 64 * count) else { throw .tooLarge }
    }

    // MARK: Keywords

    private mutating func compileScalars(
        _ keywords: JSONSchemaKeywords, _ list: inout [JSONSchemaAssertion]
    ) throws(JSONSchemaError) {
        if let types = try keywords.types() { list.append(.types(types)) }
        if let constant = keywords.object["const"] { list.append(.constant(constant)) }
        if let values = try keywords.array("enum") {
            var weight = 0
            for value in values { weight += JSONSchemaEvaluation.weight(of: value) }
            try pay(for: weight)
            list.append(.enumeration(JSONSchemaEnumeration(values)))
        }
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
        if assertsDates, let format = keywords.object["format"]?.string.flatMap(JSONSchemaDateFormat.init) {
            list.append(.format(format))
        }
    }

    /// Compiles a pattern; nil, and listed as unchecked, for one that the automaton cannot express or that is too
    /// large.
    private mutating func pattern(
        _ text: String, _ keywords: JSONSchemaKeywords, _ key: String
    ) throws(JSONSchemaError) -> JSONSchemaPattern? {
        do throws(JSONSchemaPattern.ParseError) {
            return try JSONSchemaPattern(text, &budget)
        } catch {
            switch error {
            case .malformed(let reason): throw .invalid(at: key, reason: reason)
            case .unsupported:
                noteUnchecked(keywords, key)
                return nil
            case .tooLarge: throw .tooLarge
            }
        }
    }

    private mutating func compileArrays(
        _ keywords: JSONSchemaKeywords, _ list: inout [JSONSchemaAssertion]
    ) throws(JSONSchemaError) {
        // In draft 7 `items` may be an array, as prefixItems, and `additionalItems` is the rest.
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
        if let names = try keywords.strings("required"), !names.isEmpty {
            try pay(for: names.count)
            list.append(.required(names))
        }
        let properties = try namedSubschemas("properties", keywords) ?? []
        var patterns: [(JSONSchemaPattern, Int)] = []
        var skipsPattern = false
        for (text, node) in try namedSubschemas("patternProperties", keywords) ?? [] {
            let key = "patternProperties/\(JSONPointer.escaped(JSONSchemaText.cut(text)))"
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
        // The names that an unreadable pattern matches are not known, so that no property counts as additional beside
        // it.
        if skipsPattern { additional = .allowed }
        let isTrivial = if case .allowed = additional { properties.isEmpty && patterns.isEmpty } else { false }
        if !isTrivial {
            list.append(
                .members(
                    properties: Dictionary(properties.map { (ExactString($0), $1) }) { $1 }, patterns: patterns,
                    additional: additional))
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
                    try pay(for: names.count)
                    required.append((name, names.compactMap(\.string)))
                } else if let node = try node([key, name], keywords) {
                    schemas.append((name, node))
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

    /// Returns the node of an existing subschema.
    private mutating func node(
        _ tokens: [String], _ keywords: JSONSchemaKeywords
    ) throws(JSONSchemaError) -> Int? {
        var place = keywords.place
        for token in tokens {
            guard let next = try places.place(token, below: place, &budget) else { return nil }
            place = next
        }
        return try node(at: place)
    }

    private mutating func subschema(
        _ key: String, _ keywords: JSONSchemaKeywords
    ) throws(JSONSchemaError) -> Int? {
        guard keywords.object[key] != nil else { return nil }
        return try node([key], keywords)
    }

    private mutating func subschemas(
        _ key: String, _ keywords: JSONSchemaKeywords
    ) throws(JSONSchemaError) -> [Int]? {
        guard let schemas = try keywords.array(key) else { return nil }
        var nodes: [Int] = []
        for index in schemas.indices {
            if let node = try node([key, "\(index)"], keywords) { nodes.append(node) }
        }
        return nodes
    }

    private mutating func namedSubschemas(
        _ key: String, _ keywords: JSONSchemaKeywords
    ) throws(JSONSchemaError) -> [(String, Int)]? {
        guard let value = keywords.object[key] else { return nil }
        guard let object = value.object else { throw keywords.invalid(key, "an object") }
        var nodes: [(String, Int)] = []
        for (name, _) in object {
            if let node = try node([key, name], keywords) { nodes.append((name, node)) }
        }
        return nodes
    }
}
