import Foundation
import JSON
import Logging
import TestSupport
import Testing

@testable import Observability

/// What becomes of lines on their way to the descriptor.
@Suite struct LogOutputTests {
    private static let notice = "log lines dropped"

    /// Writes lines that tell their number.
    private func write(_ numbers: Range<Int>, to log: AccessLog) {
        for number in numbers { log.write { $0.add("number", number) } }
    }

    @Test func linesOfAllLoggersComeInTheOrderInWhichTheyWereWritten() async throws {
        let pipe = try LogPipe()
        let output = LogOutput(fileDescriptor: pipe.writing)
        let logs = [AccessLog(label: "a", output: output), AccessLog(label: "b", output: output)]
        let logger = output.logger("c")
        let reading = pipe.read()
        for number in 0..<300 {
            if number % 3 == 2 {
                logger.info("event", metadata: ["number": "\(number)"])
            } else {
                logs[number % 3].write { $0.add("number", "\(number)") }
            }
        }
        #expect(output.flush())
        pipe.closeWriting()
        #expect(try await reading.lines.map { $0["number"]?.string } == (0..<300).map { "\($0)" })
        #expect(output.droppedLines == 0)
    }

    /// A datagram is what one system call wrote.
    @Test func manyLinesAreWrittenAtOnce() async throws {
        var ends: [Int32] = [-1, -1]
        #expect(socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &ends) == 0)
        let output = LogOutput(fileDescriptor: ends[0])
        write(0..<500, to: AccessLog(label: "access", output: output))
        #expect(output.flush())
        close(ends[0])
        var datagrams: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = recv(ends[1], &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { break }
            datagrams.append(Array(buffer[..<count]))
        }
        close(ends[1])
        #expect(datagrams.joined().count { $0 == 10 } == 500)
        #expect(datagrams.count < 100)
    }

    /// Whoever logs goes on, memory is bounded, and afterwards one line tells how many are missing.
    @Test func aDescriptorThatNobodyReadsHoldsNobodyUp() async throws {
        let pipe = try LogPipe()
        pipe.fill()
        let output = LogOutput(fileDescriptor: pipe.writing, capacity: 32 << 10)
        let log = AccessLog(label: "access", output: output)
        let total = 5000
        write(0..<total, to: log)
        #expect(output.droppedLines > 0)
        #expect(!output.flush(within: .milliseconds(10)))
        let dropped = output.droppedLines
        let reading = pipe.read()
        #expect(output.flush())
        write(total..<total + 1, to: log)
        #expect(output.flush())
        pipe.closeWriting()
        let all = try await reading.lines
        #expect(output.droppedLines == dropped)
        // Each gap has its line, where the lines are missing. There may be one before the thread took its first lines.
        let notices = all.filter { $0["message"]?.string == Self.notice }
        #expect((1...2).contains(notices.count))
        #expect(notices.allSatisfy { $0["level"] == "warning" })
        #expect(notices.compactMap { $0["lines"]?.int }.reduce(0, +) == dropped)
        var next = 0
        for line in all {
            if let lost = line["lines"]?.int {
                next += lost
            } else {
                #expect(line["number"]?.int == next)
                next += 1
            }
        }
        #expect(next == total + 1)
    }

    @Test func aLineWithoutRoomIsDroppedAndToldOf() async throws {
        let pipe = try LogPipe()
        let output = LogOutput(fileDescriptor: pipe.writing, capacity: 1024)
        output.logger("test").info("long", metadata: ["text": "\(String(repeating: "x", count: 2000))"])
        #expect(output.flush())
        pipe.closeWriting()
        let lines = try await pipe.read().lines
        #expect(lines.map { $0["message"]?.string } == [Self.notice])
        #expect(lines.first?["lines"]?.int == 1)
        #expect(output.droppedLines == 1)
    }

    /// EPIPE and EBADF.
    @Test(arguments: [true, false]) func aClosedDescriptorEndsNothing(hasBeenOpen: Bool) async throws {
        let pipe = try LogPipe()
        pipe.closeReading()
        let output = LogOutput(fileDescriptor: hasBeenOpen ? pipe.writing : -1)
        let logger = output.logger("test")
        for _ in 0..<3 {
            logger.error("unheard")
            #expect(output.flush())
        }
        #expect(output.droppedLines == 3)
        pipe.closeWriting()
    }

    /// A full disk, in which somebody makes room again.
    @Test func linesThatWereRefusedAreToldOfWhenLinesAreTakenAgain() async throws {
        let pipe = try LogPipe()
        let descriptor = open("/dev/full", O_WRONLY)
        try #require(descriptor >= 0)
        let output = LogOutput(fileDescriptor: descriptor)
        let logger = output.logger("test")
        logger.error("lost")
        logger.error("lost")
        #expect(output.flush())
        dup2(pipe.writing, descriptor)
        pipe.closeWriting()
        logger.error("written")
        #expect(output.flush())
        close(descriptor)
        let lines = try await pipe.read().lines
        #expect(lines.map { $0["message"]?.string } == [Self.notice, "written"])
        #expect(lines.first?["lines"]?.int == 2)
        #expect(output.droppedLines == 2)
    }

    /// Whoever shares the descriptor may have made it so, as node does with a terminal.
    @Test func aDescriptorThatDoesNotBlockLosesNothing() async throws {
        let pipe = try LogPipe()
        _ = fcntl(pipe.writing, F_SETFL, O_NONBLOCK)
        let output = LogOutput(fileDescriptor: pipe.writing)
        write(0..<3000, to: AccessLog(label: "access", output: output))
        let reading = pipe.read()
        #expect(output.flush())
        pipe.closeWriting()
        #expect(try await reading.lines.map { $0["number"]?.int } == Array(0..<3000))
        #expect(output.droppedLines == 0)
    }

    @Test func theCountIsAMetric() {
        let registry = MetricsRegistry()
        let output = LogOutput(fileDescriptor: -1, capacity: 0)
        registry.addLogMetrics(output, prefix: "gateway")
        #expect(registry.exposition().contains("\ngateway_log_lines_dropped_total 0\n"))
        output.logger("test").error("lost")
        output.flush()
        #expect(registry.exposition().contains("\ngateway_log_lines_dropped_total 1\n"))
    }
}
