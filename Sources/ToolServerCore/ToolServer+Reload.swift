import Foundation
import JSON

extension ToolServer {
    /// Reads the configuration again and applies what can change while serving: the log level, the access rules of the
    /// tools, and the whole `ai` section, with the keys in the files that it names; the verification keys of token
    /// issuers are read again. A warning names all other changes, which wait for a restart. An invalid configuration
    /// changes nothing.
    ///
    /// - Returns: True if the configuration is in force.
    @discardableResult
    func reload(_ process: ToolServerProcess) -> Bool {
        guard let load = process.load else { return false }
        let new: ToolServerConfiguration
        do {
            new = try load()
            // The rule may belong to a tool that waits for a restart.
            try new.checkRules(against: server.toolNames + new.sqlTools.map(\.name))
        } catch {
            metrics.reloads.failed()
            logger.error("reload failed", metadata: ["problem": "\(error)"])
            return false
        }
        for secret in new.ai?.secrets ?? [] { process.log?.redact(secret) }
        process.log?.level = new.logLevel
        server.replaceRules(new.access.tools, documents: store, registry: search)
        replaceAnswers?(new.ai)
        if let verificationKeys {
            // In a task of its own: an issuer that does not answer must not delay the next signal.
            Task {
                do {
                    try await verificationKeys.read()
                } catch {
                    logger.warning(
                        "verification keys could not be read; those read before are still used",
                        metadata: ["error": "\(error)"])
                }
            }
        }
        for key in configuration.fixedKeys(differingFrom: new) {
            logger.warning("change needs a restart", metadata: ["config.key": "toolServer.\(key)"])
        }
        metrics.reloads.reloaded()
        logger.info("reloaded")
        return true
    }
}

extension ToolServerConfiguration {
    /// Returns the keys of the section whose new value needs a restart.
    func fixedKeys(differingFrom other: ToolServerConfiguration) -> [String] {
        let mine = document.object ?? [:]
        let others = other.document.object ?? [:]
        return Set(mine.keys).union(others.keys).subtracting(["logLevel", "ai", "tools"])
            .filter { mine[$0] != others[$0] }.sorted()
    }
}
