import HTTPServer
import NIOHTTP1

/// Response to `GET /` and `/assets/…`: the chat page.
final class PageRequest: GatewayRequest {
    override var route: String { "page" }

    /// The page with the configuration's texts; nil: the page is disabled.
    private let document: PageFile?

    init(
        _ exchange: HTTPExchange, _ worker: Worker, _ settings: RequestSettings, _ facts: RequestHeaders,
        document: PageFile?
    ) {
        self.document = document
        super.init(exchange, worker, settings, facts)
    }

    /// Returns whether a path belongs to the page.
    static func owns(_ path: Substring) -> Bool {
        path == "/" || path.hasPrefix("/assets/")
    }

    override func serve() {
        let path = String(exchange.path)
        let file = path == "/" ? document : PageFiles.embedded.page[path]
        let answer = PageResponse(
            file, method: exchange.head.method, query: exchange.query,
            request: exchange.head.headers)
        switch answer.status {
        case .methodNotAllowed: note(GatewayError(.methodNotAllowed))
        case .notFound: note(GatewayError(.notFound))
        default: break
        }
        var headers = headers(capacity: 10)
        headers.add(contentsOf: answer.headers)
        exchange.respond(status: answer.status, headers: headers, body: answer.body)
    }
}
