import Testing

@testable import MCPClient

@Suite struct ForwardedCredentialsTests {
    @Test func thePartitionFollowsFromTheForwardedCredentialsAlone() {
        let one = ForwardedCredentials(
            cookies: "sessionid=1", authorization: nil, perRequest: [(name: "Accept-Language", value: "de")])
        let same = ForwardedCredentials(cookies: "sessionid=1", authorization: nil)
        #expect(one.partition == same.partition)
        #expect(one.partition.hashValue == same.partition.hashValue)
        #expect(one.partition != ForwardedCredentials(cookies: "sessionid=2", authorization: nil).partition)
        #expect(one.partition != ForwardedCredentials(cookies: nil, authorization: "sessionid=1").partition)
        #expect(one.partition != ForwardedCredentials.anonymous.partition)
    }

    @Test func aCookieAndATokenDoNotRunIntoEachOther() {
        #expect(
            CredentialPartition(cookies: "ab", authorization: "c")
                != CredentialPartition(cookies: "a", authorization: "bc"))
    }

    @Test func emptyMeansAnonymous() {
        #expect(ForwardedCredentials(cookies: "", authorization: "").partition == .anonymous)
        #expect(ForwardedCredentials(cookies: "", authorization: nil).credentials.isEmpty)
    }
}
