import HTTPServer

/// Check of an address when the configuration is read, before anything is bound.
enum ListenAddress {
    /// Returns the error of the text; nil when it is a valid address.
    static func problem(_ text: String) -> String? {
        do {
            _ = try HTTPListenAddress(parsing: text)
            return nil
        } catch {
            return "\(error)"
        }
    }
}
