import HTTPServer

/// Checks an address when the configuration is read, before anything is bound.
enum ListenAddress {
    /// What is wrong with the text; nil when it can be listened on.
    static func problem(_ text: String) -> String? {
        do {
            _ = try HTTPListenAddress(parsing: text)
            return nil
        } catch {
            return "\(error)"
        }
    }
}
