import Foundation
import Glibc

/// Debian's nginx with the configuration of `deploy/nginx`, on free ports, with everything it writes in a temporary
/// directory.
package final class NginxProcess: Sendable {
    /// Whether nginx is installed.
    package static let isInstalled = FileManager.default.isExecutableFile(atPath: executable)
    private static let executable = "/usr/sbin/nginx"

    package let directory: TemporaryDirectory
    package let process: ChildProcess
    package let port: Int
    /// The port of TLS, when `start` was told to offer it.
    package let tlsPort: Int?

    package var url: String { "http://127.0.0.1:\(port)" }
    package var client: HTTPTestClient { HTTPTestClient(url) }
    /// The certificate that TLS clients must trust; valid for `localhost` and 127.0.0.1.
    package var certificate: String { directory.path("etc/chat-gateway/fullchain.pem") }
    /// The access log as the deployed configuration writes it.
    package var accessLog: String {
        (try? String(contentsOfFile: directory.path("log/chat-gateway.access.log"), encoding: .utf8)) ?? ""
    }

    private init(directory: TemporaryDirectory, process: ChildProcess, port: Int, tlsPort: Int?) {
        self.directory = directory
        self.process = process
        self.port = port
        self.tlsPort = tlsPort
    }

    /// Starts nginx in front of a gateway.
    ///
    /// Only ports, the gateway's address and absolute paths differ from the files as they ship; each replacement must
    /// find its text, so a change of the files cannot silently take them out of the test.
    ///
    /// - Parameter gateway: `HOST:PORT` of the gateway.
    /// - Throws: `ProcessError` with nginx's own message when it does not start.
    package static func start(gateway: String, tls: Bool = false) async throws -> NginxProcess {
        let directory = try TemporaryDirectory("nginx")
        let port = try freePort()
        let tlsPort = tls ? try freePort() : nil
        try layOut(in: directory, gateway: gateway, port: port, tlsPort: tlsPort)
        if tls {
            try await OpenSSL.makeCertificate(
                alternativeNames: "DNS:localhost,IP:127.0.0.1", key: directory.path("etc/chat-gateway/privkey.pem"),
                certificate: directory.path("etc/chat-gateway/fullchain.pem"))
        }
        // What Debian's own nginx.conf gives around conf.d, without its daemon and its user.
        let process = try await launch(
            in: directory, http: "include \(directory.path("etc"))/conf.d/*.conf;", port: port)
        return NginxProcess(directory: directory, process: process, port: port, tlsPort: tlsPort)
    }

    /// Starts nginx with these directives in its `http` block, and whatever it writes in the directory.
    /// - Parameter port: one that it listens on: when it does, nginx is there.
    /// - Throws: `ProcessError` with nginx's own message when it does not start.
    package static func launch(
        in directory: TemporaryDirectory, http: String, port: Int
    ) async throws -> ChildProcess {
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(directory.path($0));" }.joined(separator: " ")
        try directory.write(
            """
            \(getuid() == 0 ? "user root;" : "")
            daemon off;
            worker_processes 1;
            pid \(directory.path("nginx.pid"));
            error_log stderr info;
            events { worker_connections 1024; }
            http {
                \(temporary)
                \(http)
            }
            """, to: "nginx.conf")
        // The master passes SIGTERM on to its workers, which would survive a master that is killed.
        let process = try await ChildProcess.start(
            .init(
                executable, ["-p", directory.url.path, "-c", directory.path("nginx.conf"), "-e", "stderr"],
                deathSignal: "TERM"))
        let listens = await eventually {
            (try? RawSocketClient(port: port)) != nil || process.exit != nil
        }
        guard listens, process.exit == nil else { throw ProcessError("nginx does not start\n\(process.log)") }
        return process
    }

    /// Reads the configuration and the certificate again, as `nginx -s reload` does.
    package func reload() { process.signal(SIGHUP) }

    /// Stops nginx; it must exit with 0.
    package func stop() async throws {
        let exit = try await process.stop()
        guard exit == .status(0) else { throw ProcessError("nginx ended with \(exit)\n\(process.log)") }
    }

    private static func layOut(in directory: TemporaryDirectory, gateway: String, port: Int, tlsPort: Int?) throws {
        let companions = directory.path("etc/chat-gateway")
        var site = try replace(
            in: Checkout.text("deploy/nginx/chat-gateway.conf"),
            [
                ("listen 80;", "listen 127.0.0.1:\(port);"), ("/etc/nginx/chat-gateway", companions),
                ("/var/log/nginx", directory.path("log")),
            ])
        let upstream = try replace(
            in: Checkout.text("deploy/nginx/upstream.conf"), [("server 127.0.0.1:8080 ", "server \(gateway) ")])
        try directory.write(upstream, to: "etc/chat-gateway/upstream.conf")
        if let tlsPort {
            site = try replace(in: site, [("#include \(companions)/tls.conf", "include \(companions)/tls.conf")])
            let tls = try replace(
                in: Checkout.text("deploy/nginx/tls.conf"),
                [
                    ("listen 443 ", "listen 127.0.0.1:\(tlsPort) "), ("/etc/nginx/chat-gateway", companions),
                ])
            try directory.write(tls, to: "etc/chat-gateway/tls.conf")
        }
        try directory.write(site, to: "etc/conf.d/chat-gateway.conf")
        try directory.write(Checkout.text("deploy/nginx/proxy.conf"), to: "etc/chat-gateway/proxy.conf")
        try directory.write("", to: "log/.keep")
    }

    private static func replace(in text: String, _ replacements: [(String, String)]) throws -> String {
        var text = text
        for (old, new) in replacements {
            guard text.contains(old) else { throw ProcessError("deploy/nginx no longer contains: \(old)") }
            text = text.replacingOccurrences(of: old, with: new)
        }
        return text
    }
}
