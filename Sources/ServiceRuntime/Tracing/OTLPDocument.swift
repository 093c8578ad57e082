import Foundation
import JSON
import NIOCore
import Observability

/// Spans in the JSON form of `ExportTraceServiceRequest` (OTLP 1.x, JSON Protobuf encoding): ids in hexadecimal, 64-bit
/// numbers as strings, enumerations as numbers, names in lowerCamelCase.
struct OTLPDocument {
    /// Attributes of this process.
    let resource: [(String, Span.Value)]
    let scope: (name: String, version: String)
    /// Offset that is added to the monotonic clock to get nanoseconds since the epoch.
    let clockOffset: Int64

    init(
        resource: [(String, Span.Value)], scope: (name: String, version: String), clockOffset: Int64 = Self.offset()
    ) {
        self.resource = resource
        self.scope = scope
        self.clockOffset = clockOffset
    }

    /// Returns the current offset, which is read for every batch because the wall clock may be set.
    static func offset() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec) - Int64(NIODeadline.now().uptimeNanoseconds)
    }

    func bytes(_ spans: [Span]) -> [UInt8] {
        let document: JSONValue = [
            "resourceSpans": [
                [
                    "resource": ["attributes": attributes(resource)],
                    "scopeSpans": [
                        [
                            "scope": ["name": .string(scope.name), "version": .string(scope.version)],
                            "spans": .array(spans.map(json)),
                        ]
                    ],
                ]
            ]
        ]
        return document.serialized
    }

    private func json(_ span: Span) -> JSONValue {
        var object: JSONObject = [
            "traceId": .string(span.context.traceID), "spanId": .string(span.context.spanIDText),
            // W3C trace flags: all exported spans are sampled.
            "flags": 1,
            "name": .string(span.name), "kind": .number(JSONNumber(span.kind.rawValue)),
            "startTimeUnixNano": time(span.start), "endTimeUnixNano": time(max(span.start, span.end)),
            "attributes": attributes(span.attributes),
        ]
        if let parent = span.parentID { object["parentSpanId"] = .string(TraceContext.text(ofSpanID: parent)) }
        if !span.events.isEmpty {
            object["events"] = .array(
                span.events.map { event in
                    [
                        "timeUnixNano": time(event.time), "name": .string(event.name),
                        "attributes": attributes(event.attributes),
                    ]
                })
        }
        // STATUS_CODE_ERROR; the status of a success stays unset, as the specification recommends.
        if let error = span.error { object["status"] = ["code": 2, "message": .string(error)] }
        return .object(object)
    }

    private func time(_ deadline: NIODeadline) -> JSONValue {
        .string("\(Int64(deadline.uptimeNanoseconds) &+ clockOffset)")
    }

    private func attributes(_ attributes: [(String, Span.Value)]) -> JSONValue {
        .array(
            attributes.map { key, value in
                let json: JSONValue =
                    switch value {
                    case .string(let text): ["stringValue": .string(text)]
                    case .int(let number): ["intValue": .string("\(number)")]
                    case .bool(let flag): ["boolValue": .bool(flag)]
                    case .double(let number): ["doubleValue": .number(JSONNumber(number))]
                    }
                return ["key": .string(key), "value": json]
            })
    }
}
