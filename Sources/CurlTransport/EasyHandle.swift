import CCurl
import Glibc
import NIOCore
import ProcessMemory

/// A pooled libcurl easy handle with the state of its transfer. Confined to the engine's thread.
///
/// Options that never change are set once; per request only the options that differ from the handle's last request are
/// set, so each option's last value is stored here.
final class EasyHandle {
    let easy: UnsafeMutableRawPointer
    unowned(unsafe) let reactor: CurlReactor
    /// Place in the reactor's list of active handles.
    var index = 0

    var transfer: CurlTransfer?
    var exchange = Exchange()

    private let errorBuffer: UnsafeMutablePointer<CChar>
    private let url: OpaquePointer
    private var applied = AppliedOptions()
    private var headerList = HeaderList()

    /// State of one transfer.
    struct Exchange {
        var status = 0
        var headers = CurlHeaders()
        /// True if the next header line is a status line: at the beginning, and after each interim response.
        var expectsStatusLine = true
        /// True if the last header line was stored, so that a folded line continues it.
        var keptLastHeader = false
        /// Number of bytes of header lines so far, interim responses included.
        var headBytes = 0
        /// True if the receiver gets the body as it arrives; decided with the head.
        var isStreaming = false
        /// True once the final response's blank line was read; later header lines are trailers.
        var headComplete = false
        var body = ByteBuffer()
        /// Memory that the collected body has drawn.
        var reservation: MemoryReservation?
        var receivedBytes = 0
        /// Number of times that libcurl was about to send the request.
        var sendings = 0
        /// Reason for which a callback ended the transfer; libcurl's own code is then only "aborted".
        var failure: (kind: CurlError.Kind, message: String)?
        var receivingPaused = false
        var sendingPaused = false
        /// Socket that libcurl last wanted to be watched for this transfer.
        var socket: Int32 = -1
        var lastActivity = NIODeadline.uptimeNanoseconds(0)
    }

    private enum BodyKind { case none, noBody, bytes, upload }

    private struct AppliedOptions {
        var url = ""
        var customMethod: String?
        var bodyKind = BodyKind.none
        var timeout = 0
        var connectTimeout = Duration.zero
        var uploadLength = -2
        var unixSocketPath: String?
        var tls: CurlTLS?
        var proxy: String?
        var isPlain = false
        var decodesContent = false
    }

    /// - Returns: Nil when libcurl is out of memory.
    init?(reactor: CurlReactor) {
        guard let easy = curl_easy_init() else { return nil }
        guard let url = curl_url() else {
            curl_easy_cleanup(easy)
            return nil
        }
        self.easy = easy
        self.url = url
        self.reactor = reactor
        errorBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        setConstantOptions()
    }

    /// Frees the handle, which must have been removed from the multi handle.
    deinit {
        curl_easy_cleanup(easy)
        curl_url_cleanup(url)
        errorBuffer.deallocate()
        headerList.deallocate()
    }

    private func setConstantOptions() {
        let context = Unmanaged.passUnretained(self).toOpaque()
        let owner = Unmanaged.passUnretained(reactor).toOpaque()
        ccurl_easy_setopt_pointer(easy, CURLOPT_PRIVATE, context)
        ccurl_easy_setopt_pointer(easy, CURLOPT_ERRORBUFFER, errorBuffer)
        ccurl_easy_setopt_long(easy, CURLOPT_NOSIGNAL, 1)
        ccurl_easy_setopt_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        ccurl_easy_setopt_string(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        ccurl_easy_setopt_long(easy, CURLOPT_FOLLOWLOCATION, 0)
        ccurl_easy_setopt_long(easy, CURLOPT_PATH_AS_IS, 1)
        ccurl_easy_setopt_long(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        ccurl_easy_setopt_long(easy, CURLOPT_TCP_KEEPALIVE, 1)
        // A cancelled transfer must not wait for the resolver's thread: others use this one.
        ccurl_easy_setopt_long(easy, CURLOPT_QUICK_EXIT, 1)
        ccurl_easy_setopt_long(easy, CURLOPT_MAXAGE_CONN, reactor.configuration.idleAgeSeconds)
        ccurl_easy_setopt_long(easy, CURLOPT_BUFFERSIZE, reactor.configuration.receiveBuffer)
        // Nil must mean no proxy; without this libcurl reads http_proxy from the environment.
        ccurl_easy_setopt_string(easy, CURLOPT_PROXY, "")
        // With nil libcurl would look for no_proxy in the environment, twice for each transfer.
        ccurl_easy_setopt_string(easy, CURLOPT_NOPROXY, "")
        ccurl_easy_set_write_callback(easy, LibcurlCallback.body, context)
        ccurl_easy_set_header_callback(easy, LibcurlCallback.headerLine, context)
        ccurl_easy_set_read_callback(easy, LibcurlCallback.requestBody, context)
        ccurl_easy_set_prereq_callback(easy, LibcurlCallback.beforeSending, context)
        ccurl_easy_set_socket_callbacks(easy, LibcurlCallback.openSocket, LibcurlCallback.closeSocket, owner)
    }

    // MARK: One transfer

    /// Sets the options of the transfer's request.
    /// - Returns: libcurl's code when it refuses an option.
    func prepare(_ transfer: CurlTransfer, now: NIODeadline) -> CURLcode {
        let request = transfer.request
        self.transfer = transfer
        exchange = Exchange()
        exchange.lastActivity = now
        errorBuffer[0] = 0
        let isPlain = isPlain(request)
        if applied.tls != request.tls || applied.proxy != request.proxy || applied.isPlain != isPlain {
            // A null pointer does not restore the built-in CA path; a reset does, and keeps connections.
            curl_easy_reset(easy)
            applied = AppliedOptions()
            setConstantOptions()
            applied.tls = request.tls
            applied.proxy = request.proxy
            applied.isPlain = isPlain
            if isPlain { forgetAuthorities() }
            if let tls = request.tls { set(tls) }
            if let proxy = request.proxy { ccurl_easy_setopt_string(easy, CURLOPT_PROXY, proxy) }
        }
        if applied.url != request.url {
            let code = setURL(request.url)
            guard code == CURLE_OK else { return code }
            applied.url = request.url
        }
        if applied.unixSocketPath != request.unixSocketPath {
            let code = ccurl_easy_setopt_string(easy, CURLOPT_UNIX_SOCKET_PATH, request.unixSocketPath)
            guard code == CURLE_OK else { return code }
            applied.unixSocketPath = request.unixSocketPath
        }
        let timeout = request.timeout.milliseconds
        if applied.timeout != timeout {
            ccurl_easy_setopt_long(easy, CURLOPT_TIMEOUT_MS, timeout)
            applied.timeout = timeout
        }
        if applied.decodesContent != request.decodesContent {
            // Any value makes libcurl decode all codings that it knows; the header that is sent is the request's own.
            ccurl_easy_setopt_string(easy, CURLOPT_ACCEPT_ENCODING, request.decodesContent ? "gzip" : nil)
            applied.decodesContent = request.decodesContent
        }
        if applied.connectTimeout != request.connectTimeout {
            ccurl_easy_setopt_long(easy, CURLOPT_CONNECTTIMEOUT_MS, request.connectTimeout.milliseconds)
            applied.connectTimeout = request.connectTimeout
        }
        setMethodAndBody(request)
        if case .stream(let source) = request.body { source.attach(transfer) }
        let hasBody = applied.bodyKind == .bytes || applied.bodyKind == .upload
        headerList.fill(request.headers, hasBody: hasBody)
        return ccurl_easy_setopt_list(easy, CURLOPT_HTTPHEADER, headerList.first)
    }

    /// Returns whether the transfer certainly uses no encryption.
    private func isPlain(_ request: CurlRequest) -> Bool {
        guard request.tls == nil, request.proxy == nil else { return false }
        return applied.url == request.url ? applied.isPlain : request.url.hasPrefix("http://")
    }

    /// Clears the paths of the trusted authorities, which libcurl copies for every transfer, even if it does not need
    /// them.
    private func forgetAuthorities() {
        for option in [CURLOPT_CAINFO, CURLOPT_CAPATH, CURLOPT_PROXY_CAINFO, CURLOPT_PROXY_CAPATH] {
            ccurl_easy_setopt_string(easy, option, nil)
        }
    }

    /// Sets the parsed URL: given a text, libcurl parses and checks each part again for every transfer.
    private func setURL(_ text: String) -> CURLcode {
        let isParsed = curl_url_set(url, CURLUPART_URL, text, UInt32(CURLU_PATH_AS_IS)) == CURLUE_OK
        // For an invalid URL, libcurl itself reports the error in the text.
        ccurl_easy_setopt_pointer(easy, CURLOPT_CURLU, isParsed ? UnsafeRawPointer(url) : nil)
        return ccurl_easy_setopt_string(easy, CURLOPT_URL, text)
    }

    private func setMethodAndBody(_ request: CurlRequest) {
        var customMethod: String?
        switch request.body {
        case .bytes(let bytes) where request.method != "HEAD":
            setBytes(bytes)
            customMethod = request.method == "POST" ? nil : request.method
        case .stream(let source) where request.method != "HEAD":
            if applied.bodyKind != .upload {
                ccurl_easy_setopt_long(easy, CURLOPT_UPLOAD, 1)
                applied.bodyKind = .upload
            }
            let length = source.length ?? -1
            if applied.uploadLength != length {
                ccurl_easy_setopt_offset(easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(length))
                applied.uploadLength = length
            }
            customMethod = request.method == "PUT" ? nil : request.method
        default:
            switch request.method {
            case "HEAD":
                if applied.bodyKind != .noBody { ccurl_easy_setopt_long(easy, CURLOPT_NOBODY, 1) }
                applied.bodyKind = .noBody
            case "POST", "PUT", "PATCH":
                // These methods announce an empty body (RFC 9110 §8.6).
                setBytes(ByteBuffer())
                customMethod = request.method == "POST" ? nil : request.method
            default:
                if applied.bodyKind != .none { ccurl_easy_setopt_long(easy, CURLOPT_HTTPGET, 1) }
                applied.bodyKind = .none
                customMethod = request.method == "GET" ? nil : request.method
            }
        }
        if applied.customMethod != customMethod {
            ccurl_easy_setopt_string(easy, CURLOPT_CUSTOMREQUEST, customMethod)
            applied.customMethod = customMethod
        }
    }

    /// Sets the bytes without copying them. They stay in place: this handle retains the transfer until libcurl has
    /// released the handle, the transfer retains its immutable request, and a buffer with a second owner is copied
    /// before it is written to.
    private func setBytes(_ bytes: ByteBuffer) {
        if applied.bodyKind != .bytes {
            ccurl_easy_setopt_long(easy, CURLOPT_POST, 1)
            applied.bodyKind = .bytes
        }
        ccurl_easy_setopt_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.readableBytes))
        bytes.withUnsafeReadableBytesWithStorageManagement { pointer, _ in
            // Without a pointer libcurl would call the read callback.
            _ = ccurl_easy_setopt_pointer(
                easy, CURLOPT_POSTFIELDS, pointer.baseAddress ?? UnsafeRawPointer(errorBuffer))
        }
    }

    private func set(_ tls: CurlTLS) {
        if let file = tls.caFile { ccurl_easy_setopt_string(easy, CURLOPT_CAINFO, file) }
        if let file = tls.clientCert { ccurl_easy_setopt_string(easy, CURLOPT_SSLCERT, file) }
        if let file = tls.clientKey { ccurl_easy_setopt_string(easy, CURLOPT_SSLKEY, file) }
        if let keys = tls.pinnedKeys { ccurl_easy_setopt_string(easy, CURLOPT_PINNEDPUBLICKEY, keys) }
        ccurl_easy_setopt_long(easy, CURLOPT_SSL_VERIFYPEER, tls.verify ? 1 : 0)
        ccurl_easy_setopt_long(easy, CURLOPT_SSL_VERIFYHOST, tls.verify ? 2 : 0)
    }

    /// Releases the transfer. The handle must have been removed from the multi handle: until then libcurl may read the
    /// body's bytes and the header list.
    func release() {
        if case .stream(let source) = transfer?.request.body { source.attach(nil) }
        transfer = nil
        exchange = Exchange()
    }

    // MARK: Outcome

    /// True if some byte of the request may have been sent.
    ///
    /// libcurl calls `beforeSending` before it writes anything. Afterwards REQUEST_SIZE is the size of the first write,
    /// and PRETRANSFER_TIME is set when that write did not fail. Both zero: the write failed at once, nothing was sent.
    /// Under TLS a failed write may have sent whole records before, so the call of `beforeSending` counts.
    var requestSent: Bool {
        guard exchange.sendings > 0 else { return false }
        if transfer?.request.url.hasPrefix("http://") != true { return true }
        return ccurl_easy_info_long(easy, CURLINFO_REQUEST_SIZE) > 0
            || ccurl_easy_info_offset(easy, CURLINFO_PRETRANSFER_TIME_T) > 0
    }

    func outcome(_ code: CURLcode) -> Result<CurlResponse, CurlError> {
        guard code == CURLE_OK, exchange.failure == nil else {
            return .failure(error(code))
        }
        let connections = ccurl_easy_info_long(easy, CURLINFO_NUM_CONNECTS)
        let timings = CurlTimings(
            connect: .microseconds(
                connections == 0 ? 0 : ccurl_easy_info_offset(easy, CURLINFO_CONNECT_TIME_T)),
            firstByte: .microseconds(ccurl_easy_info_offset(easy, CURLINFO_STARTTRANSFER_TIME_T)),
            total: .microseconds(ccurl_easy_info_offset(easy, CURLINFO_TOTAL_TIME_T)),
            reusedConnection: connections == 0)
        var response = CurlResponse(
            status: exchange.status, headers: exchange.headers, body: exchange.body, timings: timings)
        response.reservation = exchange.reservation
        return .success(response)
    }

    private func error(_ code: CURLcode) -> CurlError {
        if let failure = exchange.failure {
            return CurlError(
                kind: failure.kind, curlCode: Int32(code.rawValue), message: failure.message, requestSent: requestSent)
        }
        let message = errorBuffer[0] == 0 ? String(cString: curl_easy_strerror(code)) : String(cString: errorBuffer)
        return CurlError(
            kind: CurlError.Kind(code, message: message, connected: exchange.sendings > 0),
            curlCode: Int32(code.rawValue), message: message, requestSent: requestSent)
    }

    // MARK: Pausing

    /// Continues where the receiver takes bytes again, or the body's source has some.
    /// - Returns: libcurl's code when the transfer cannot continue.
    func wake(window: Int) -> CURLcode {
        guard let transfer else { return CURLE_OK }
        let receive = exchange.receivingPaused && !transfer.mustWait(window: window)
        let send = exchange.sendingPaused
        guard receive || send else { return CURLE_OK }
        // The callbacks run in here, and may pause again.
        if receive { exchange.receivingPaused = false }
        exchange.sendingPaused = false
        exchange.lastActivity = reactor.now
        return curl_easy_pause(easy, exchange.receivingPaused ? Int32(CURLPAUSE_RECV) : 0)
    }
}

extension Duration {
    /// Rounded up, so that a short limit does not become none.
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        guard self > .zero else { return 0 }
        return Int(min(seconds, 1 << 31)) * 1000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
