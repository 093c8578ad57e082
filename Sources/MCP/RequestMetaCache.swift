import JSON
import Synchronization

/// `_meta` objects of requests that were read before, by their text: a client of 2026-07-28 sends the same with every
/// request. Bounded.
package final class RequestMetaCache: Sendable {
    /// An object with what it means.
    struct Entry: Sendable {
        /// The object as a tree.
        let meta: JSONObject
        /// Its contents; nil where they are not those of a request of 2026-07-28.
        let metadata: RequestMetadata?
    }

    private struct State {
        var entries: [(text: [UInt8], entry: Entry)] = []
        /// Place of the next text once all are taken.
        var next = 0
    }

    private let state = Mutex(State())
    /// Largest number of texts that are kept, and the largest of them in bytes.
    private static let limits = (texts: 32, bytes: 1024)

    /// Creates an empty cache.
    package init() {}

    /// Reads an object that a scanner has accepted in these bytes.
    func read(_ slice: JSONSlice, in bytes: UnsafeRawBufferPointer) -> Entry {
        let text = UnsafeRawBufferPointer(rebasing: bytes[slice.range])
        if let known = state.withLock({ find(text, $0) }) { return known }
        let meta = JSONValue(slice, in: bytes).object ?? [:]
        let entry = Entry(meta: meta, metadata: try? RequestMetadata(meta: meta))
        if text.count <= Self.limits.bytes { keep(entry, Array(text)) }
        return entry
    }

    private func find(_ text: UnsafeRawBufferPointer, _ state: State) -> Entry? {
        state.entries.first { known in known.text.withUnsafeBytes { JSONText.areEqual($0, text) } }?.entry
    }

    private func keep(_ entry: Entry, _ text: [UInt8]) {
        state.withLock { state in
            if state.entries.count < Self.limits.texts {
                state.entries.append((text, entry))
            } else {
                state.entries[state.next] = (text, entry)
                state.next = (state.next + 1) % Self.limits.texts
            }
        }
    }
}
