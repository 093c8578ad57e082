import CurlTransport
import HTTPSyntax
import JSON
import NIOCore

/// Template of the request for a call of an HTTP API's tool. Each argument stays where the template puts it: it cannot
/// reach another host, segment, parameter or header.
struct RequestTemplate: Hashable, Sendable {
    /// A part of the body.
    indirect enum Body: Hashable, Sendable {
        /// JSON text.
        case constant([UInt8])
        case text(Template)
        case array([Body])
        case object([Member])

        struct Member: Hashable, Sendable {
            let name: String
            /// `"name":`
            let key: [UInt8]
            let value: Body
        }
    }

    struct Field: Hashable, Sendable {
        let name: String
        let value: Template
    }

    /// A request that is complete except for its server.
    struct Filled {
        let method: String
        /// Path and query, to be appended to the path of the upstream's URL.
        let target: String
        let headers: CurlHeaders
        let body: ByteBuffer?
    }

    let method: String
    /// The path's segments.
    let segments: [Template]
    let query: [Field]
    let headers: [Field]
    let body: Body?
    /// True if the body is sent as a form instead of JSON.
    let isForm: Bool

    /// Fills in the arguments of a call.
    func fill(_ arguments: TemplateArguments) throws(TemplateArguments.ArgumentError) -> Filled {
        var target = try path(arguments)
        var separator = "?"
        for field in query {
            for value in try values(field.value, arguments) ?? [] {
                target += separator + PercentEncoding.encode(field.name.utf8) + "=" + PercentEncoding.encode(value.utf8)
                separator = "&"
            }
        }
        var lines = CurlHeaders()
        for field in headers {
            guard let value = try arguments.text(field.value, TemplateArguments.checked) else { continue }
            lines.append(name: field.name, value: value)
        }
        return Filled(method: method, target: target, headers: lines, body: try content(arguments, &lines))
            .with(lines)
    }

    private func path(_ arguments: TemplateArguments) throws(TemplateArguments.ArgumentError) -> String {
        var path = ""
        for segment in segments {
            let isPlain = segment.arguments.isEmpty
            let text = try arguments.text(segment) { (value, name) throws(TemplateArguments.ArgumentError) in
                guard !value.isEmpty else {
                    throw TemplateArguments.ArgumentError(message: "\(name): expected some text")
                }
                return PercentEncoding.encode(try TemplateArguments.checked(value, name).utf8)
            }
            let names = segment.arguments.joined(separator: ", ")
            guard let text else { throw TemplateArguments.ArgumentError(message: "\(names): missing") }
            guard isPlain || (text != "." && text != "..") else {
                throw TemplateArguments.ArgumentError(message: "\(names): not allowed here")
            }
            path += "/" + text
        }
        return path
    }

    /// Returns the values of a parameter; a list repeats the parameter. Nil when an argument is absent.
    private func values(
        _ template: Template, _ arguments: TemplateArguments
    ) throws(TemplateArguments.ArgumentError) -> [String]? {
        guard let name = template.whole else {
            return try arguments.text(template, TemplateArguments.checked).map { [$0] }
        }
        guard let texts = try arguments.texts(name) else { return nil }
        var checked: [String] = []
        for text in texts { checked.append(try TemplateArguments.checked(text, name)) }
        return checked
    }

    // MARK: The body

    private func content(
        _ arguments: TemplateArguments, _ headers: inout CurlHeaders
    ) throws(TemplateArguments.ArgumentError) -> ByteBuffer? {
        guard let body else { return nil }
        if isForm { return ByteBuffer(string: PercentEncoding.form(try fields(body, arguments))) }
        if !headers.contains(name: "Content-Type") { headers.append(name: "Content-Type", value: "application/json") }
        var out: [UInt8] = []
        guard try write(body, arguments, to: &out) else { return ByteBuffer() }
        return ByteBuffer(bytes: out)
    }

    private func fields(
        _ body: Body, _ arguments: TemplateArguments
    ) throws(TemplateArguments.ArgumentError) -> [(name: String, value: String)] {
        guard case .object(let members) = body else { return [] }
        var fields: [(name: String, value: String)] = []
        for member in members {
            switch member.value {
            case .text(let template):
                if let name = template.whole {
                    for text in try arguments.texts(name) ?? [] { fields.append((member.name, text)) }
                } else if let text = try arguments.text(template, { (text, _) in text }) {
                    fields.append((member.name, text))
                }
            case .constant(let json):
                let text = (try? JSONValue(parsing: json))?.string ?? String(decoding: json, as: UTF8.self)
                fields.append((member.name, text))
            case .array, .object: break
            }
        }
        return fields
    }

    /// Writes a part; false when it refers to an absent argument, so that its member is omitted.
    private func write(
        _ body: Body, _ arguments: TemplateArguments, to out: inout [UInt8]
    ) throws(TemplateArguments.ArgumentError) -> Bool {
        switch body {
        case .constant(let json):
            out += json
        case .text(let template):
            if let name = template.whole {
                guard let value = arguments[name] else { return false }
                out += arguments.json(value)
            } else {
                guard let text = try arguments.text(template, { (text, _) in text }) else { return false }
                out += JSONText.quoted(text)
            }
        case .array(let elements):
            out.append(UInt8(ascii: "["))
            try list(elements.map { ([], $0) }, arguments, to: &out)
            out.append(UInt8(ascii: "]"))
        case .object(let members):
            out.append(UInt8(ascii: "{"))
            try list(members.map { ($0.key, $0.value) }, arguments, to: &out)
            out.append(UInt8(ascii: "}"))
        }
        return true
    }

    private func list(
        _ entries: [(key: [UInt8], value: Body)], _ arguments: TemplateArguments, to out: inout [UInt8]
    ) throws(TemplateArguments.ArgumentError) {
        var isFirst = true
        for (key, value) in entries {
            let start = out.count
            if !isFirst { out.append(UInt8(ascii: ",")) }
            out += key
            if try write(value, arguments, to: &out) {
                isFirst = false
            } else {
                out.removeSubrange(start...)
            }
        }
    }
}

extension RequestTemplate.Filled {
    fileprivate func with(_ headers: CurlHeaders) -> Self {
        RequestTemplate.Filled(method: method, target: target, headers: headers, body: body)
    }
}

extension RequestTemplate {
    /// Names of the arguments that any part refers to.
    var arguments: Set<String> {
        var names = Set(segments.flatMap(\.arguments) + (query + headers).flatMap(\.value.arguments))
        if let body { Self.collect(body, &names) }
        return names
    }

    private static func collect(_ body: Body, _ names: inout Set<String>) {
        switch body {
        case .constant: break
        case .text(let template): names.formUnion(template.arguments)
        case .array(let elements): for element in elements { collect(element, &names) }
        case .object(let members): for member in members { collect(member.value, &names) }
        }
    }
}
