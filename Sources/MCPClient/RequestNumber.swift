import Synchronization

/// Ids of JSON-RPC requests and progress tokens: unique in the process, over all upstreams and workers.
///
/// With equal ids of two requests in flight, several servers confuse the answers, so there is one counter and no
/// constant.
enum RequestNumber {
    private static let counter = Atomic<Int64>(0)

    static func next() -> Int64 {
        counter.wrappingAdd(1, ordering: .relaxed).newValue
    }
}
