import Foundation
import FuzzEntries

/// The entry that is fuzzed, by the variable FUZZ_ENTRY.
private let entry: FuzzEntry = {
    let name = ProcessInfo.processInfo.environment["FUZZ_ENTRY"] ?? ""
    guard let entry = FuzzEntry.all.first(where: { $0.name == name }) else {
        fatalError("FUZZ_ENTRY: expected one of \(FuzzEntry.all.map(\.name).joined(separator: " "))")
    }
    return entry
}()

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafeRawPointer, _ count: Int) -> CInt {
    do {
        try entry.run(UnsafeRawBufferPointer(start: start, count: count))
    } catch {
        fatalError("\(entry.name): \(error)")
    }
    return 0
}
