import MCP
package import ProcessMemory
import Synchronization

/// A list of tools while its pages are read. Any thread, one page at a time.
///
/// A list that is byte for byte what it was gives the catalog that was made of it.
package final class CatalogReading: Sendable {
    /// A list that was read, with the pages that it was made of.
    package struct Whole: Sendable {
        /// Tools of the list.
        package let catalog: ToolCatalog
        let pages: CatalogPages
        let era: MCPEra
    }

    /// The next step after a page.
    package enum Step: Sendable {
        /// Request the page with this cursor.
        case next(String)
        /// The list has ended, or is not read further.
        case end(Whole)
        /// The page is malformed.
        case invalid
        /// The memory budget has no room for the list.
        case noRoom
    }

    private struct State {
        var pages: CatalogPages
        /// Memory that the pages have drawn.
        var reservation: MemoryReservation?
    }

    private let former: Whole?
    private let memory: MemoryBudget
    private let state: Mutex<State>

    convenience init(_ configuration: MCPUpstreamConfiguration, former: Whole?) {
        self.init(
            tools: configuration.catalogLimit, bytes: configuration.catalogBytes, memory: configuration.memory,
            former: former)
    }

    /// - Parameters:
    ///   - tools: Largest number of tools; further ones are dropped with a warning.
    ///   - bytes: Largest size of all tools' definitions together; further ones are dropped with a warning.
    ///   - memory: Budget from which the list draws.
    ///   - former: The list as it was read before.
    package init(tools: Int = 10_000, bytes: Int = 8 << 20, memory: MemoryBudget, former: Whole?) {
        self.former = former
        self.memory = memory
        state = Mutex(State(pages: CatalogPages(.init(tools: tools, bytes: bytes), former: former?.pages)))
    }

    /// Reads a page.
    package func take(_ result: MCPCallResult) -> Step {
        state.withLock { state in
            let step = result.message.withUnsafeReadableBytes { state.pages.take(result.result, in: $0) }
            guard memory.hold(state.pages.footprint, in: &state.reservation) else { return .noRoom }
            switch step {
            case .next(let cursor): return .next(cursor)
            case .invalid: return .invalid
            case .end: return .end(whole(state, result.era))
            }
        }
    }

    private func whole(_ state: State, _ era: MCPEra) -> Whole {
        if let former, former.era == era, state.pages.isUnchanged { return former }
        let pages = state.pages
        let catalog = ToolCatalog(
            tools: pages.tools, sources: pages.sources, era: era, lifetime: pages.lifetime, warnings: pages.warnings,
            reservation: state.reservation)
        return Whole(catalog: catalog, pages: pages.withoutFormer, era: era)
    }
}
