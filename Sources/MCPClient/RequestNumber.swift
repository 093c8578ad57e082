import Synchronization

/// Ids of JSON-RPC requests and progress tokens: unique in the process, over all upstreams and shards.
///
/// Two requests in flight with one id cross-wire answers in several servers, so there is one counter and no constant.
enum RequestNumber {
    private static let counter = Atomic<Int64>(0)

    static func next() -> Int64 {
        counter.wrappingAdd(1, ordering: .relaxed).newValue
    }
}
