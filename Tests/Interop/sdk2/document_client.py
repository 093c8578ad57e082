"""Signs in with a client metadata document; to be run in network and mount namespaces of its own, as root.

A document is read from public addresses alone, so the loopback device of the namespace gets one. The official SDK is the
client; the person is the browser without script of `signing_in`.
"""
import asyncio
import http.server
import json
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import httpx2  # noqa: E402
from mcp import Client  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402
from signing_in import CALLBACK, Browser, Stack, Storage  # noqa: E402
from test_oauth_server import provider  # noqa: E402

PUBLIC = "9.9.9.77"
NAMES = {"client.example": PUBLIC, "inside.example": "127.0.0.1"}


def call(*arguments):
    subprocess.run([str(argument) for argument in arguments], check=True, capture_output=True, text=True)


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
        hosts = directory / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{at} {name}\n" for name, at in NAMES.items()))
        call("mount", "--bind", hosts, "/etc/hosts")
        self.requests = requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                requests.append(f"https://{self.headers['Host']}{self.path}")
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
            browser = Browser(stack)
            who = asyncio.run(sign_in(stack, browser, "https://client.example/app.json"))
            assert who.structured_content["results"]["username"] == "alice", who
            assert browser.titles == ["Sign in", "Allow Documented?"], browser.titles
            # Kept, so that a second client costs no second request.
            asyncio.run(sign_in(stack, browser, "https://client.example/app.json"))
            assert documents.requests == ["https://client.example/app.json"], documents.requests
            # A name that leads inside is not asked, though a server answers there.
            fields = urllib.parse.urlencode({
                "client_id": "https://inside.example/app.json", "redirect_uri": CALLBACK, "response_type": "code",
                "code_challenge": "x" * 43, "code_challenge_method": "S256"})
            status, page = browser.status(f"{stack.origin}/oauth/authorize?{fields}")
            assert status == 400 and "cannot be read" in page, (status, page)
            assert len(documents.requests) == 1, documents.requests
        finally:
            stack.stop()
    print("signed in")


main()
