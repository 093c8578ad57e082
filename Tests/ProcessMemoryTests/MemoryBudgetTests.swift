import Testing

@testable import ProcessMemory

@Suite struct MemoryBudgetTests {
    private let kibibyte = 1024

    @Test func smallBodiesDrawNothing() {
        let budget = MemoryBudget(limit: 0)
        var reservation: MemoryReservation?
        #expect(budget.hold(MemoryBudget.allowance, in: &reservation))
        #expect(reservation == nil)
        #expect(budget.statistics == .init(limit: 0, used: 0, peak: 0, refusals: 0))
    }

    @Test func growingBodiesDrawInSteps() throws {
        let budget = MemoryBudget(limit: 1024 * kibibyte)
        var reservation: MemoryReservation?
        #expect(budget.hold(65 * kibibyte, in: &reservation))
        #expect(budget.statistics.used == 128 * kibibyte)
        let drawn = try #require(reservation)
        #expect(budget.hold(100 * kibibyte, in: &reservation))
        #expect(reservation === drawn)
        #expect(budget.statistics.used == 128 * kibibyte)
        #expect(budget.hold(129 * kibibyte, in: &reservation))
        #expect(drawn.bytes == 192 * kibibyte)
        // What has been drawn for a larger body stays until the end.
        #expect(budget.hold(65 * kibibyte, in: &reservation))
        #expect(budget.statistics.used == 192 * kibibyte)
    }

    @Test func refusalsDrawNothing() {
        let budget = MemoryBudget(limit: 256 * kibibyte)
        var first: MemoryReservation?
        var second: MemoryReservation?
        #expect(budget.hold(192 * kibibyte, in: &first))
        #expect(!budget.hold(128 * kibibyte, in: &second))
        #expect(second == nil)
        #expect(budget.statistics.used == 192 * kibibyte)
        #expect(!budget.hold(257 * kibibyte, in: &first))
        #expect(first?.bytes == 192 * kibibyte)
        first = nil
        #expect(budget.hold(128 * kibibyte, in: &second))
        #expect(budget.statistics.refusals == 2)
    }

    @Test func theLastReferenceReturnsWhatWasDrawn() {
        let budget = MemoryBudget(limit: 1024 * kibibyte)
        var reservation: MemoryReservation?
        #expect(budget.hold(512 * kibibyte, in: &reservation))
        var copy = reservation
        reservation = nil
        #expect(budget.statistics.used == 512 * kibibyte)
        #expect(copy != nil)
        copy = nil
        #expect(budget.statistics == .init(limit: 1024 * kibibyte, used: 0, peak: 512 * kibibyte, refusals: 0))
    }

    @Test func whatIsHeldAlreadyIsCountedBeyondTheLimit() {
        let budget = MemoryBudget(limit: 128 * kibibyte)
        var output: MemoryReservation?
        budget.charge(1024 * kibibyte, in: &output)
        #expect(budget.statistics.used == 1024 * kibibyte)
        var body: MemoryReservation?
        #expect(!budget.hold(65 * kibibyte, in: &body))
        budget.charge(100 * kibibyte, in: &output)
        #expect(budget.statistics.used == 128 * kibibyte)
        budget.charge(1, in: &output)
        #expect(output == nil)
        #expect(budget.statistics.used == 0)
    }

    @Test func announcedBodiesAreRefusedWithoutDrawing() {
        let budget = MemoryBudget(limit: 256 * kibibyte)
        #expect(budget.hasRoom(for: 256 * kibibyte))
        #expect(!budget.hasRoom(for: 257 * kibibyte))
        #expect(!budget.hasRoom(for: .max))
        #expect(budget.statistics == .init(limit: 256 * kibibyte, used: 0, peak: 0, refusals: 2))
    }

    @Test func anUnlimitedBudgetTakesAnySize() {
        let budget = MemoryBudget(limit: .max)
        #expect(budget.hasRoom(for: .max))
        var reservation: MemoryReservation?
        #expect(budget.hold(.max, in: &reservation))
        #expect(!budget.draw(1))
        reservation = nil
        #expect(budget.statistics.used == 0)
    }

    @Test func theSumIsExactOverManyThreads() async {
        let budget = MemoryBudget(limit: 64 << 20)
        await withTaskGroup(of: Void.self) { group in
            for task in 1...8 {
                group.addTask {
                    for round in 1...500 {
                        var reservation: MemoryReservation?
                        for size in 1...4 { _ = budget.hold(task * round * size * 1024, in: &reservation) }
                        budget.charge(round * 100, in: &reservation)
                    }
                }
            }
        }
        #expect(budget.statistics.used == 0)
        #expect(budget.statistics.peak > 0)
    }
}
