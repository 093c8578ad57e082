import ServiceRuntime

/// The name and version that the gateway gives of itself.
package enum GatewayVersion {
    package static let name = "chat-gateway"
    package static let number = BuildVersion.number
}
