import Dispatch
import Foundation
package import Glibc
import Synchronization

/// A process that a test started: its output is captured, it leads its own process group, and it dies with the test.
package final class ChildProcess: Sendable {
    /// What to start.
    package struct Launch: Sendable {
        /// A path, or a name to be found in PATH.
        package var executable: String
        package var arguments: [String]
        /// Added to a minimal inherited environment (nothing that configures either product is inherited).
        package var environment: [String: String]
        package var directory: String?
        /// Whether standard input stays open for `write`; otherwise it is empty.
        package var keepsInput: Bool
        /// What the kernel sends the child when the test process dies; a process with children of its own needs
        /// one that it can handle.
        package var deathSignal: String

        package init(
            _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
            directory: String? = nil, keepsInput: Bool = false, deathSignal: String = "KILL"
        ) {
            self.executable = executable
            self.arguments = arguments
            self.environment = environment
            self.directory = directory
            self.keepsInput = keepsInput
            self.deathSignal = deathSignal
        }
    }

    /// How a process ended.
    package enum Exit: Hashable, Sendable {
        case status(Int32)
        case signal(Int32)
    }

    /// What the watching threads write. They hold this and not the child, so that its `deinit` runs when the test
    /// lets go of it.
    private final class Watched: Sendable {
        let state: Mutex<State>
        init(_ state: sending State) { self.state = Mutex(state) }
    }

    private struct State {
        var output: [UInt8] = []
        var error: [UInt8] = []
        var openStreams = 2
        var exit: Exit?
        var input: Int32?
    }

    /// The executable's name, for messages.
    package let name: String
    package let processID: pid_t
    private let watched: Watched

    private init(name: String, processID: pid_t, input: Int32?) {
        self.name = name
        self.processID = processID
        watched = Watched(State(input: input))
    }

    deinit {
        // Not reaped by `exit(within:)`: the test failed before it got there.
        watched.state.withLock { state in
            if let input = state.input { close(input) }
            if state.exit == nil { kill(-processID, SIGKILL) }
        }
    }

    /// Starts a process.
    ///
    /// - Throws: `ProcessError` when it cannot be spawned.
    package static func start(_ launch: Launch) async throws -> ChildProcess {
        try await SpawningThread.shared.run { try spawn(launch) }
    }

    /// Everything that the process wrote to standard output so far.
    package var output: String { watched.state.withLock { String(decoding: $0.output, as: UTF8.self) } }
    /// Everything that the process wrote to standard error so far.
    package var error: String { watched.state.withLock { String(decoding: $0.error, as: UTF8.self) } }
    /// How the process ended, nil while it runs.
    package var exit: Exit? { watched.state.withLock { $0.exit } }

    /// Both streams, for the message of a failure.
    package var log: String {
        let (output, error) = (output, error)
        return "--- \(name) [\(processID)] stdout\n\(output)--- \(name) [\(processID)] stderr\n\(error)"
    }

    /// Writes to standard input; needs `keepsInput`.
    package func write(_ text: String) throws {
        guard let input = watched.state.withLock({ $0.input }) else {
            throw ProcessError("\(name) has no standard input")
        }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw ProcessError("\(name) does not read: \(String(cString: strerror(errno)))") }
            bytes = bytes.dropFirst(count)
        }
    }

    /// Ends standard input.
    package func closeInput() {
        watched.state.withLock { state in
            if let input = state.input { close(input) }
            state.input = nil
        }
    }

    /// Sends a signal to the process alone.
    package func signal(_ number: Int32) {
        // Under the lock: the id may belong to somebody else once the process was reaped.
        watched.state.withLock { if $0.exit == nil { kill(processID, number) } }
    }

    /// Sends a signal to the process and all that it started, as a terminal does for Ctrl-C.
    package func signalGroup(_ number: Int32) {
        watched.state.withLock { if $0.exit == nil { kill(-processID, number) } }
    }

    /// Waits for the process to end and its output to be complete.
    ///
    /// - Throws: `ProcessError` with the logs when it still runs after `limit`.
    @discardableResult
    package func exit(within limit: Duration = .seconds(20)) async throws -> Exit {
        var result: Exit?
        await eventually(within: limit, every: .milliseconds(5)) {
            result = exit
            return result != nil
        }
        guard let result else { throw ProcessError("\(name) still runs after \(limit)\n\(log)") }
        await eventually(within: .seconds(1), every: .milliseconds(2)) {
            watched.state.withLock { $0.openStreams == 0 }
        }
        return result
    }

    /// SIGTERM, then SIGKILL for what is left after `limit`.
    @discardableResult
    package func stop(within limit: Duration = .seconds(10)) async throws -> Exit {
        signal(SIGTERM)
        do {
            return try await exit(within: limit)
        } catch {
            signalGroup(SIGKILL)
            _ = try? await exit(within: .seconds(5))
            throw error
        }
    }

    /// Runs a command to its end.
    ///
    /// - Throws: `ProcessError` when it cannot be started or takes longer than `limit`.
    package static func run(_ launch: Launch, within limit: Duration = .seconds(30)) async throws -> Finished {
        let process = try await start(launch)
        do {
            let exit = try await process.exit(within: limit)
            return Finished(exit: exit, output: process.output, error: process.error)
        } catch {
            process.signalGroup(SIGKILL)
            throw error
        }
    }

    /// A command that ended.
    package struct Finished: Sendable {
        package let exit: Exit
        package let output: String
        package let error: String
        package var succeeded: Bool { exit == .status(0) }
        /// Standard error without the empty lines.
        package var errorLines: [String] { error.split(whereSeparator: \.isNewline).map(String.init) }
    }

    // MARK: - Spawning

    /// Adds the closing of every descriptor from 3 on. glibc has it since 2.34; Swift's overlay does not show it.
    private static func closeInherited(_ actions: inout posix_spawn_file_actions_t) {
        typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else { return }
        _ = unsafeBitCast(symbol, to: CloseFrom.self)(&actions, 3)
    }

    private static func spawn(_ launch: Launch) throws -> ChildProcess {
        let output = try Pipe()
        let error = try Pipe()
        let input = launch.keepsInput ? try Pipe() : nil

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input.read, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, output.write, 1)
        posix_spawn_file_actions_adddup2(&actions, error.write, 2)
        // A child that kept the sockets of the tests beside it would keep their peers from seeing them close.
        Self.closeInherited(&actions)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        // setpriv asks the kernel to end the child with its parent, then becomes the child.
        let wrapper = ["setpriv", "--pdeathsig", launch.deathSignal, "--"]
        let directory = launch.directory.map { ["env", "-C", $0] } ?? []
        let words = wrapper + directory + [launch.executable] + launch.arguments
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] =
            Self.environment(adding: launch.environment).map { strdup("\($0)=\($1)") } + [nil]
        defer { (arguments + environment).forEach { free($0) } }
        var processID: pid_t = 0
        let failure = posix_spawnp(&processID, "setpriv", &actions, &attributes, &arguments, &environment)

        output.closeWrite()
        error.closeWrite()
        input?.closeRead()
        guard failure == 0 else {
            output.closeRead()
            error.closeRead()
            input?.closeWrite()
            throw ProcessError("cannot start \(launch.executable): \(String(cString: strerror(failure)))")
        }
        let name = URL(filePath: launch.executable).lastPathComponent
        let child = ChildProcess(name: name, processID: processID, input: input?.write)
        child.watch(output: output.read, error: error.read)
        return child
    }

    private func watch(output: Int32, error: Int32) {
        let (watched, processID) = (watched, processID)
        Thread.detachNewThread { Self.collect(output, into: watched) { $0.output += $1 } }
        Thread.detachNewThread { Self.collect(error, into: watched) { $0.error += $1 } }
        Thread.detachNewThread {
            // WNOWAIT keeps the process id reserved until the exit is recorded under the lock.
            var info = siginfo_t()
            while waitid(P_PID, id_t(processID), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
            watched.state.withLock { state in
                var status: Int32 = 0
                waitpid(processID, &status, 0)
                let signal = status & 0x7f
                state.exit = signal == 0 ? .status((status >> 8) & 0xff) : .signal(signal)
            }
        }
    }

    private static func collect(
        _ descriptor: Int32, into watched: Watched, _ append: (inout State, ArraySlice<UInt8>) -> Void
    ) {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            watched.state.withLock { append(&$0, buffer[..<count]) }
        }
        close(descriptor)
        watched.state.withLock { $0.openStreams -= 1 }
    }

    private static func environment(adding own: [String: String]) -> [String: String] {
        let inherited =
            ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "TERM"] + Sanitizer.environment
        return ProcessInfo.processInfo.environment.filter { inherited.contains($0.key) }
            .merging(own) { _, mine in mine }
    }
}

/// A process could not be started, or did not do what every test needs of it.
package struct ProcessError: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// A pipe whose ends no other child inherits.
private final class Pipe {
    let read: Int32
    let write: Int32

    init() throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw ProcessError("pipe: \(String(cString: strerror(errno)))") }
        (read, write) = (ends[0], ends[1])
        // No race with another spawn: there is one spawning thread.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    }

    func closeRead() { close(read) }
    func closeWrite() { close(write) }
}

/// The one thread that starts children. The kernel delivers a parent-death signal when the *thread* that started the
/// child ends, and the threads of the concurrency pool come and go.
private final class SpawningThread: Sendable {
    static let shared = SpawningThread()

    private let jobs = Mutex<[@Sendable () -> Void]>([])
    private let semaphore = DispatchSemaphore(value: 0)

    private init() {
        Thread.detachNewThread {
            // A child that no longer reads must be an error of `write`, not the end of the tests.
            Glibc.signal(SIGPIPE, SIG_IGN)
            while true {
                self.semaphore.wait()
                self.jobs.withLock { $0.removeFirst() }()
            }
        }
    }

    func run<T: Sendable>(_ job: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            jobs.withLock { $0.append { continuation.resume(with: Result { try job() }) } }
            semaphore.signal()
        }
    }
}
