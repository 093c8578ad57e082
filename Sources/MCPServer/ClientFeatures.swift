package import JSON

/// Capabilities that a client declared, reduced to those that this library uses.
///
/// A session keeps this instead of the client's own object, so that the size of a session does not depend on what a
/// client chose to send.
package struct ClientFeatures: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Capability `roots`.
    package static let roots = ClientFeatures(rawValue: 1)
    /// Capability `sampling`.
    package static let sampling = ClientFeatures(rawValue: 2)
    /// Capability `sampling.tools`.
    package static let samplingTools = ClientFeatures(rawValue: 4)
    /// Elicitation through a form; an empty `elicitation` object means this.
    package static let elicitation = ClientFeatures(rawValue: 8)
    /// Elicitation by sending the user to a URL.
    package static let elicitationURL = ClientFeatures(rawValue: 16)

    /// Reads a `ClientCapabilities` object.
    package init(_ capabilities: JSONObject) {
        var features: ClientFeatures = []
        if capabilities["roots"]?.object != nil { features.insert(.roots) }
        if let sampling = capabilities["sampling"]?.object {
            features.insert(.sampling)
            if sampling["tools"]?.object != nil { features.insert(.samplingTools) }
        }
        if let elicitation = capabilities["elicitation"]?.object {
            let (form, url) = (elicitation["form"]?.object != nil, elicitation["url"]?.object != nil)
            if form || !url { features.insert(.elicitation) }
            if url { features.insert(.elicitationURL) }
        }
        self = features
    }

    /// Smallest `ClientCapabilities` object that declares these.
    package var json: JSONObject {
        var object = JSONObject()
        if contains(.roots) { object["roots"] = .object([:]) }
        if contains(.samplingTools) {
            object["sampling"] = .object(["tools": .object([:])])
        } else if contains(.sampling) {
            object["sampling"] = .object([:])
        }
        if contains(.elicitationURL) {
            object["elicitation"] = .object(
                contains(.elicitation) ? ["form": .object([:]), "url": .object([:])] : ["url": .object([:])])
        } else if contains(.elicitation) {
            object["elicitation"] = .object([:])
        }
        return object
    }
}
