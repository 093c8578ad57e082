import ServiceRuntime

/// Name and version under which the gateway identifies itself.
package enum GatewayVersion {
    /// Name of the gateway in MCP and in traces.
    package static let name = "chat-gateway"
    /// Version number.
    package static let number = BuildVersion.number
}
