import Foundation
import JSON

extension ToolServer {
    /// Reads the configuration again and puts into force what can be while serving: the log level, who may call which
    /// tool, and the whole `ai` section, with the keys in the files that it names; the keys of tokens' issuers are read
    /// again. What else has changed is named in a warning and waits for a restart. A configuration with an error changes
    /// nothing.
    ///
    /// - Returns: Whether it is in force.
    @discardableResult
    func reload(_ process: ToolServerProcess) -> Bool {
        guard let load = process.load else { return false }
        let new: ToolServerConfiguration
        do {
            new = try load()
            // A tool that waits for a restart may have its rule already.
            try new.checkRules(against: server.toolNames + new.sqlTools.map(\.name))
        } catch {
            metrics.reloads.failed()
            logger.error("reload failed", metadata: ["problem": "\(error)"])
            return false
        }
        for secret in new.ai?.secrets ?? [] { process.redact(secret) }
        process.setLogLevel(new.logLevel)
        server.replaceRules(new.access.tools, documents: store, registry: search)
        replaceAnswers?(new.ai)
        if let verificationKeys {
            // Beside the reload: an issuer that does not answer must not hold up the next signal.
            Task {
                do {
                    try await verificationKeys.read()
                } catch {
                    logger.warning(
                        "keys not read; the ones read before are kept", metadata: ["error": "\(error)"])
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
    /// Keys of the section whose new value needs a restart.
    func fixedKeys(differingFrom other: ToolServerConfiguration) -> [String] {
        let mine = document.object ?? [:]
        let others = other.document.object ?? [:]
        return Set(mine.keys).union(others.keys).subtracting(["logLevel", "ai", "tools"])
            .filter { mine[$0] != others[$0] }.sorted()
    }
}
