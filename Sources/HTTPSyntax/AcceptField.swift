/// The fields `Accept` and `Accept-Encoding`, RFC 9110 sections 12.5.1 and 12.5.3.
package enum AcceptField {
    /// Field that the revisions of MCP ask clients to send, so that it need not be read.
    package static let both = "application/json, text/event-stream"

    /// Returns whether a media type is requested by name, with a weight above zero. Ranges such as `*/*` do not count:
    /// browsers send them with everything.
    package static func names(_ mediaType: StaticString, in value: String) -> Bool {
        value.listElements.contains { element in
            let parts = element.parameters
            return HTTPSyntax.name(parts[0], is: mediaType) && weight(parts) > 0
        }
    }

    /// Returns whether a media type is acceptable: by name or by a range; the most specific match decides.
    ///
    /// - Parameters:
    ///   - mediaType: The type in lower case, such as `text/event-stream`.
    ///   - values: Values of all `Accept` fields, at least one.
    package static func accepts(_ mediaType: StaticString, in values: [String]) -> Bool {
        let name = "\(mediaType)"
        let range = "\(name.prefix { $0 != "/" })/*"
        var best = (exactness: 0, weight: 0.0)
        for element in values.flatMap(\.listElements) {
            let parts = element.parameters
            let exactness =
                HTTPSyntax.equals(parts[0], name)
                ? 3 : HTTPSyntax.equals(parts[0], range) ? 2 : HTTPSyntax.equals(parts[0], "*/*") ? 1 : 0
            guard exactness > 0 else { continue }
            let weight = weight(parts)
            // Of several matches with the same name the highest weight counts.
            if exactness > best.exactness || (exactness == best.exactness && weight > best.weight) {
                best = (exactness, weight)
            }
        }
        return best.weight > 0
    }

    /// Returns whether a content coding is acceptable by name or by `*`, with a weight above zero.
    ///
    /// - Parameter codings: Names of the coding in lower case.
    package static func acceptsCoding(_ codings: [String], in values: [String]) -> Bool {
        var any = false
        for element in values.flatMap(\.listElements) {
            let parts = element.parameters
            if codings.contains(where: { HTTPSyntax.equals(parts[0], $0) }) { return weight(parts) > 0 }
            if parts[0] == "*" { any = weight(parts) > 0 }
        }
        return any
    }

    /// Returns the weight of an element (RFC 9110 section 12.4.2); 1 without `q`, or when `q` is not a number.
    private static func weight(_ parts: [Substring]) -> Double {
        for part in parts.dropFirst() where HTTPSyntax.hasPrefix(part, "q") {
            let rest = part.dropFirst().trimmingWhiteSpace
            guard rest.first == "=" else { continue }
            guard let weight = Double(String(rest.dropFirst().trimmingWhiteSpace)), weight.isFinite else { return 1 }
            return min(max(weight, 0), 1)
        }
        return 1
    }
}
