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

    @Test func otherHeadersThatSayWhoTheCallerIsCountToo() {
        func partition(_ further: [(name: String, value: String)], authorization: String? = nil) -> CredentialPartition
        {
            ForwardedCredentials(cookies: nil, authorization: authorization, further: further).partition
        }
        let one = partition([(name: "X-API-Key", value: "1")])
        #expect(one == partition([(name: "x-api-key", value: "1")]))
        #expect(one != partition([(name: "X-API-Key", value: "2")]))
        #expect(one != partition([(name: "X-Auth-User", value: "1")]))
        #expect(one != partition([(name: "X-API-Key", value: "1")], authorization: "a"))
        #expect(one != partition([], authorization: "x-api-key1"))
        #expect(one != .anonymous)
        #expect(
            partition([(name: "a", value: "bc"), (name: "d", value: "e")])
                != partition([(name: "a", value: "b"), (name: "cd", value: "e")]))
        let sent = ForwardedCredentials(
            cookies: "c=1", authorization: "a", further: [(name: "X-API-Key", value: "1")],
            perRequest: [(name: "Accept-Language", value: "de")])
        #expect(sent.credentials.map(\.name) == ["Cookie", "Authorization", "X-API-Key"])
    }

    @Test func emptyMeansAnonymous() {
        #expect(ForwardedCredentials(cookies: "", authorization: "").partition == .anonymous)
        #expect(ForwardedCredentials(cookies: "", authorization: nil).credentials.isEmpty)
    }
}
