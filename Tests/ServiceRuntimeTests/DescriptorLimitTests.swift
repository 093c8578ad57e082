import Testing

@testable import ServiceRuntime

struct DescriptorLimitTests {
    @Test func aSufficientLimitStays() {
        let plan = DescriptorLimit(soft: 65_536, hard: 65_536).plan(connections: 10_000, others: 5000)
        #expect(plan == .init(soft: nil, connections: 10_000))
    }

    @Test func theSoftLimitIsRaisedToWhatIsNeeded() {
        let plan = DescriptorLimit(soft: 1024, hard: 1_048_576).plan(connections: 10_000, others: 5000)
        #expect(plan == .init(soft: 10_000 + 1250 + 16 + 5000, connections: 10_000))
    }

    @Test func beyondTheHardLimitThereAreFewerConnections() throws {
        let plan = DescriptorLimit(soft: 1024, hard: 4096).plan(connections: 10_000, others: 500)
        #expect(plan.soft == 4096)
        #expect(plan.connections < 10_000)
        // They, an eighth to refuse, and the rest fit.
        #expect(plan.connections + plan.connections / 8 + 16 + 500 <= 4096)
        #expect(plan.connections > 3000)
    }

    @Test func everythingElseLeavesTwoThirdsToConnections() {
        let plan = DescriptorLimit(soft: 256, hard: 256).plan(connections: 10_000, others: 5000)
        #expect(plan.soft == nil)
        #expect((120...160).contains(plan.connections))
    }

    @Test func noConfiguredBoundTakesWhatThereIs() {
        let plan = DescriptorLimit(soft: 1024, hard: 4096).plan(connections: 0, others: 100)
        #expect(plan.soft == 4096)
        #expect((3000...4000).contains(plan.connections))
    }

    @Test(arguments: [0, 1, 8, 20]) func aTinyLimitStillAllowsOne(limit: Int) {
        #expect(DescriptorLimit(soft: limit, hard: limit).plan(connections: 10_000, others: 5000).connections >= 1)
    }
}
