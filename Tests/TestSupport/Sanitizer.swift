import Foundation

/// The sanitizer that the running tests were built with, `make sanitize`.
package enum Sanitizer: CaseIterable, Sendable {
    case thread
    case address

    /// The sanitizer of this process: its runtime is part of the executable.
    package static let current: Sanitizer? = allCases.first { dlsym(nil, $0.initializer) != nil }

    /// The factor by which something may take longer than in an ordinary build: every access to memory is checked.
    package static let slowness = current == nil ? 1 : 10

    private var initializer: String {
        switch self {
        case .thread: "__tsan_init"
        case .address: "__asan_init"
        }
    }

    /// The environment that its runtime reads, and that processes started by tests have to read too.
    package static let environment = ["TSAN_OPTIONS", "ASAN_OPTIONS", "LD_PRELOAD"]
}

extension Duration {
    /// The time that something may take which may take as long as this in an ordinary build.
    package var underSanitizer: Duration { self * Sanitizer.slowness }
}
