import ServiceRuntime

/// The name and version that the gateway gives of itself.
package enum GatewayVersion {
    /// Name that the gateway gives in MCP and in traces.
    package static let name = "chat-gateway"
    /// Version number.
    package static let number = BuildVersion.number
}
