import CCurl
import Glibc

/// List of header lines that libcurl reads while a transfer runs: nodes and text in two blocks of memory that are
/// reused for the next transfer, since libcurl neither copies nor frees the list.
struct HeaderList {
    private var nodes: UnsafeMutablePointer<curl_slist>
    private var nodeCapacity = 16
    private var text: UnsafeMutablePointer<CChar>
    private var textCapacity = 1024

    init() {
        nodes = .allocate(capacity: nodeCapacity)
        text = .allocate(capacity: textCapacity)
    }

    func deallocate() {
        nodes.deallocate()
        text.deallocate()
    }

    var first: UnsafeMutablePointer<curl_slist> { nodes }

    /// Lines without a value, which remove the headers that libcurl adds by itself. No content coding is requested
    /// unless the request does.
    private static let removals: StaticString = "Expect:\0Accept:\0Content-Type:\0Accept-Encoding: identity\0"

    /// Fills the list. libcurl must have released the previous content.
    mutating func fill(_ headers: CurlHeaders, hasBody: Bool) {
        let removals = Self.removals
        let needed = headers.bytes.count + removals.utf8CodeUnitCount
        if needed > textCapacity {
            text.deallocate()
            textCapacity = needed * 2
            text = .allocate(capacity: textCapacity)
        }
        if headers.lines.count + 4 > nodeCapacity {
            nodes.deallocate()
            nodeCapacity = (headers.lines.count + 4) * 2
            nodes = .allocate(capacity: nodeCapacity)
        }
        memcpy(text, removals.utf8Start, removals.utf8CodeUnitCount)
        let lines = text + removals.utf8CodeUnitCount
        headers.bytes.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { memcpy(lines, base, bytes.count) }
        }

        var count = 0
        func add(_ line: UnsafeMutablePointer<CChar>) {
            nodes[count] = curl_slist(data: line, next: nil)
            if count > 0 { nodes[count - 1].next = nodes + count }
            count += 1
        }
        add(text)
        var accept = false
        var acceptEncoding = false
        var contentType = !hasBody
        for line in headers.lines {
            switch line.nameEnd - line.start {
            case 6 where headers.matches(line, "Accept"):
                accept = true
            case 6 where headers.matches(line, "Expect"):
                continue
            case 12 where headers.matches(line, "Content-Type"):
                contentType = true
            case 15 where headers.matches(line, "Accept-Encoding"):
                acceptEncoding = true
            case 14 where headers.matches(line, "Content-Length"), 17 where headers.matches(line, "Transfer-Encoding"):
                continue
            default:
                break
            }
            add(lines + Int(line.start))
        }
        if !accept { add(text + 8) }
        if !contentType { add(text + 16) }
        if !acceptEncoding { add(text + 30) }
    }
}
