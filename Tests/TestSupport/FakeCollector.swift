package import JSON

/// An OTLP/HTTP collector that checks the shape of what it gets.
package final class FakeCollector: Sendable {
    /// One span with what its batch said about the process.
    package struct Received: Sendable {
        package let json: JSONValue
        package let resource: [String: JSONValue]

        package var name: String { json["name"]?.string ?? "" }
        package var traceID: String { json["traceId"]?.string ?? "" }
        package var spanID: String { json["spanId"]?.string ?? "" }
        package var parentID: String? { json["parentSpanId"]?.string }
        package var kind: Int? { json["kind"]?.int }
        package var attributes: [String: JSONValue] { FakeCollector.attributes(json["attributes"]) }
        package var eventNames: [String] { json["events"]?.array?.compactMap { $0["name"]?.string } ?? [] }
    }

    package let server: ScriptedHTTPServer

    /// - Parameter status: What is answered, by the number of the request.
    package init(_ status: @escaping @Sendable (Int) -> Int = { _ in 200 }) async throws {
        server = try await ScriptedHTTPServer { request in .json("{}", status: status(request.index)) }
    }

    package var url: String { server.url }

    /// All spans so far.
    ///
    /// - Throws: `ProcessError` when a request is not what OTLP/HTTP with JSON asks for.
    package var spans: [Received] {
        get throws { try server.requests.flatMap(Self.spans) }
    }

    private static func spans(_ request: ScriptedRequest) throws -> [Received] {
        func check(_ condition: Bool, _ what: String) throws {
            guard condition else { throw ProcessError("not OTLP: \(what): \(request.path) \(request.text)") }
        }
        try check(request.method == "POST" && request.path == "/v1/traces", "request")
        try check(request.header("Content-Type") == "application/json", "content type")
        let document = try JSONValue(parsing: Array(request.body.readableBytesView))
        try check(document.object?.keys.map { $0 } == ["resourceSpans"], "root")
        var received: [Received] = []
        for resourceSpans in document["resourceSpans"]?.array ?? [] {
            let resource = attributes(resourceSpans["resource"]?["attributes"])
            try check(resource["service.name"] != nil, "service.name")
            for scopeSpans in resourceSpans["scopeSpans"]?.array ?? [] {
                try check(scopeSpans["scope"]?["name"]?.string?.isEmpty == false, "scope")
                for span in scopeSpans["spans"]?.array ?? [] {
                    try check(isHex(span["traceId"], 32) && isHex(span["spanId"], 16), "ids")
                    if let parent = span["parentSpanId"] { try check(isHex(parent, 16), "parent") }
                    try check((1...5).contains(span["kind"]?.int ?? 0), "kind")
                    try check(span["name"]?.string?.isEmpty == false, "name")
                    let (start, end) = (time(span["startTimeUnixNano"]), time(span["endTimeUnixNano"]))
                    // After 2020, and in order.
                    try check(start > 1_577_836_800_000_000_000 && start <= end, "times")
                    for event in span["events"]?.array ?? [] {
                        try check(time(event["timeUnixNano"]) >= start && event["name"]?.string != nil, "event")
                        try checkValues(event["attributes"], check)
                    }
                    try checkValues(span["attributes"], check)
                    received.append(Received(json: span, resource: resource))
                }
            }
        }
        try check(!received.isEmpty, "no spans")
        return received
    }

    private static func checkValues(_ attributes: JSONValue?, _ check: (Bool, String) throws -> Void) throws {
        for attribute in attributes?.array ?? [] {
            let value = attribute["value"]?.object
            try check(attribute["key"]?.string?.isEmpty == false && value?.count == 1, "attribute")
            switch value?.first?.key {
            case "stringValue": try check(value?.first?.value.string != nil, "stringValue")
            // 64-bit integers are strings in Protobuf's JSON.
            case "intValue": try check(value?.first?.value.string.flatMap { Int64($0) } != nil, "intValue")
            case "boolValue": try check(value?.first?.value.bool != nil, "boolValue")
            case "doubleValue": try check(value?.first?.value.double != nil, "doubleValue")
            default: try check(false, "value")
            }
        }
    }

    fileprivate static func attributes(_ list: JSONValue?) -> [String: JSONValue] {
        var attributes: [String: JSONValue] = [:]
        for attribute in list?.array ?? [] {
            attributes[attribute["key"]?.string ?? ""] = attribute["value"]?.object?.first?.value
        }
        return attributes
    }

    private static func isHex(_ value: JSONValue?, _ digits: Int) -> Bool {
        guard let text = value?.string, text.utf8.count == digits else { return false }
        return text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
            && text.contains { $0 != "0" }
    }

    private static func time(_ value: JSONValue?) -> Int64 { value?.string.flatMap { Int64($0) } ?? 0 }
}
