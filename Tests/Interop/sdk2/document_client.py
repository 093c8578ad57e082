"""Signs in with a client metadata document; to be run in network and mount namespaces of its own, as root.

A document is read from public addresses alone, so the loopback device of the namespace gets one. The official SDK is the
client; the person is Chromium, then the browser without script of `signing_in`. Then documents that try to lead the server
to itself, or to fill its memory: names are resolved by a DNS server of the test's own.
"""
import asyncio
import http.server
import json
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import httpx2  # noqa: E402
from mcp import Client  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402
from signing_in import CALLBACK, Browser, Chromium, Stack, Storage  # noqa: E402
from test_oauth_server import provider  # noqa: E402

PUBLIC = "9.9.9.77"
# Nothing listens there.
CLOSED = "9.9.9.78"
LARGE = 10 << 20
# Of RFC 7636, appendix B.
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
# The answers to the first, second, … question for a name's address; the last one stays.
NAMES = {
    "client.example": [[PUBLIC]], "inside.example": [["127.0.0.1"]],
    # Judged at one address, connected to at another.
    "rebinding.example": [[PUBLIC], ["127.0.0.1"]], "back.example": [["127.0.0.1"], [PUBLIC]],
    # The next address is tried where the first one does not answer.
    "both.example": [[CLOSED, "127.0.0.1"]],
}


def call(*arguments):
    subprocess.run([str(argument) for argument in arguments], check=True, capture_output=True, text=True)


class Names:
    """A DNS server with the addresses of NAMES, which are good for no time at all."""

    def __init__(self):
        self.asked = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(512)
            self.socket.sendto(self.answer(query), peer)

    def answer(self, query):
        labels, position = [], 12
        while query[position]:
            labels.append(query[position + 1:position + 1 + query[position]].decode().lower())
            position += 1 + query[position]
        question, name = query[12:position + 5], ".".join(labels)
        kind, = struct.unpack("!H", query[position + 1:position + 3])
        addresses = []
        if kind == 1 and name in NAMES:
            number = self.asked[name] = self.asked.get(name, 0) + 1
            addresses = NAMES[name][min(number, len(NAMES[name])) - 1]
        records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(at) for at in addresses)
        code = 0 if name in NAMES else 3
        return query[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(addresses), 0, 0) + question + records


class Documents:
    """An https server with the document of each name, on the public address and on loopback."""

    def __init__(self, directory):
        key, certificate = directory / "key.pem", directory / "certificate.pem"
        call("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
             "-subj", "/CN=client.example", "-addext",
             "subjectAltName=" + ",".join(f"DNS:{name}" for name in NAMES), "-keyout", key, "-out", certificate)
        bundle = directory / "bundle.pem"
        bundle.write_text(pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_text() + certificate.read_text())
        call("mount", "--bind", bundle, "/etc/ssl/certs/ca-certificates.crt")
        for path, text in (("/etc/hosts", "127.0.0.1 localhost\n"), ("/etc/resolv.conf", "nameserver 127.0.0.1\n"),
                           ("/etc/nsswitch.conf", "hosts: files dns\n")):
            own = directory / pathlib.Path(path).name
            own.write_text(text)
            call("mount", "--bind", own, path)
        self.names = Names()
        self.requests = requests = []
        self.inside = inside = []
        self.sent = sent = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                requests.append(f"https://{self.headers['Host']}{self.path}")
                if self.connection.getsockname()[0] == "127.0.0.1":
                    inside.append(requests[-1])
                if self.path == "/redirected.json":
                    self.send_response(302)
                    self.send_header("Location", "https://client.example/app.json")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if self.path == "/large.json":
                    self.send_response(200)
                    self.end_headers()
                    sent.append(0)
                    try:
                        while sent[-1] < LARGE:
                            sent[-1] += self.wfile.write(b" " * 65536)
                    except OSError:
                        pass
                    return
                body = json.dumps({
                    "client_id": requests[-1], "client_name": "Documented", "redirect_uris": [CALLBACK],
                    "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                    "token_endpoint_auth_method": "none"}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        for address in (PUBLIC, "127.0.0.1"):
            server = http.server.ThreadingHTTPServer((address, 443), Handler)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()


async def sign_in(stack, browser, url):
    async with httpx2.AsyncClient(auth=provider(stack, Storage(), browser, url)) as client:
        async with Client(streamable_http_client(stack.url, http_client=client)) as session:
            return await session.call_tool("get_user_info", {})


def main():
    call("ip", "link", "set", "lo", "up")
    call("ip", "address", "add", f"{PUBLIC}/32", "dev", "lo")
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        documents = Documents(directory)
        stack = Stack(directory)
        try:
            chromium = Chromium(stack)
            try:
                who = asyncio.run(sign_in(stack, chromium, "https://client.example/app.json"))
            finally:
                chromium.close()
            assert who.structured_content["results"]["username"] == "alice", who
            assert chromium.titles == ["Sign in", "Allow Documented?"], chromium.titles
            browser = Browser(stack)
            # Kept, so that a second client costs no second request.
            asyncio.run(sign_in(stack, browser, "https://client.example/app.json"))
            assert documents.requests == ["https://client.example/app.json"], documents.requests

            def authorize(url):
                fields = urllib.parse.urlencode({
                    "client_id": url, "redirect_uri": CALLBACK, "response_type": "code", "code_challenge": CHALLENGE,
                    "code_challenge_method": "S256", "resource": stack.url})
                return browser.status(f"{stack.origin}/oauth/authorize?{fields}")

            # A name that leads inside is not asked, though a server answers there.
            for name in ("inside", "both", "back"):
                status, page = authorize(f"https://{name}.example/app.json")
                assert status == 400 and "cannot be read" in page, (name, status, page)
            assert len(documents.requests) == 1, documents.requests
            # A name that changes is resolved once for a document, and the connection goes where it then led.
            status, page = authorize("https://rebinding.example/app.json")
            assert status == 200 and "Documented" in page, (status, page)
            assert documents.names.asked["rebinding.example"] == 1, documents.names.asked
            # No redirect is followed, and a large document is not read to its end.
            for path in ("redirected", "large"):
                status, page = authorize(f"https://client.example/{path}.json")
                assert status == 400 and "metadata document" in page, (path, status, page)
            assert documents.sent and documents.sent[0] < LARGE, documents.sent
            assert len(documents.requests) == 4 and not documents.inside, documents.requests
        finally:
            stack.stop()
    print("signed in")


main()
