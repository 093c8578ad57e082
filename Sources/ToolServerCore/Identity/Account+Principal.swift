import MCPServer

extension Account {
    /// The caller that a login session of this account makes. The prefix keeps its key apart from other providers'.
    var principal: Principal {
        Principal(id: "local:\(id)", name: username, attributes: ["alias": alias], isCookie: true)
    }
}
