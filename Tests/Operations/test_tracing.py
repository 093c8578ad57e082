"""One trace through both processes, as a collector gets it."""
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import services
from services import chat, eventually


class Collector:
    """Takes OTLP/HTTP with JSON."""

    def __init__(self):
        spans = self.spans = {}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/v1/traces" and self.headers["Content-Type"] == "application/json"
                assert self.headers["api-key"] == "s3cret-of-the-collector"
                for resource in body["resourceSpans"]:
                    attributes = {entry["key"]: entry["value"] for entry in resource["resource"]["attributes"]}
                    service = attributes["service.name"]["stringValue"]
                    for scope in resource["scopeSpans"]:
                        for span in scope["spans"]:
                            spans[span["spanId"]] = span | {"service": service}
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()


def test_a_call_is_one_trace_and_is_flushed_at_the_end(database, running):
    collector = Collector()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                   "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret-of-the-collector"}
    tools = running(services.tool_server(database, environment=environment)).listening()
    front = running(services.gateway(tools.addresses["main"], environment=environment))
    front.ready()
    trace = "0af7651916cd43dd8448eb211c80319c"
    status, _, _ = chat(front.addresses["main"], {"type": "search_projects", "query": "urgent"},
                        {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "X-Request-Id": "traced-1"})
    assert status == 200
    # Long before the interval is over: what waits is sent at the end.
    assert front.stop() == 0
    assert tools.stop() == 0
    ours = {span["service"] + "/" + span["name"]: span for span in collector.spans.values()
            if span["traceId"] == trace}
    assert set(ours) == {"chat-gateway/POST chat", "chat-gateway/tools/call search_projects",
                         "tool-server/tools/call search_projects"}
    server, client = ours["chat-gateway/POST chat"], ours["chat-gateway/tools/call search_projects"]
    tool = ours["tool-server/tools/call search_projects"]
    assert server["parentSpanId"] == "b7ad6b7169203331"
    assert client["parentSpanId"] == server["spanId"]
    assert tool["parentSpanId"] == client["spanId"]
    assert [server["kind"], client["kind"], tool["kind"]] == [2, 3, 2]
    assert [event["name"] for event in client["events"]] == ["session", "upstream"]
    told = attributes(client)
    assert (told["peer.service"], told["mcp.era"], told["mcp.replays"]) == ("tools", "modern", 0)
    assert told["mcp.session.reused"] is True and told["gen_ai.tool.name"] == "search_projects"
    # In the order of time, as far as one clock goes.
    times = [int(span[key]) for span, key in ((server, "startTimeUnixNano"), (client, "startTimeUnixNano"),
                                              (tool, "startTimeUnixNano"), (tool, "endTimeUnixNano"),
                                              (client, "endTimeUnixNano"))]
    assert times == sorted(times)
    line = next(entry for entry in front.messages("request") if entry["http.request_id"] == "traced-1")
    assert (line["trace.id"], line["span.id"]) == (trace, server["spanId"])
    assert "s3cret-of-the-collector" not in "".join(front.lines + tools.lines)


def attributes(span):
    found = {}
    for entry in span["attributes"]:
        ((kind, value),) = entry["value"].items()
        found[entry["key"]] = int(value) if kind == "intValue" else value
    return found


def test_a_replay_is_told_everywhere(database, running):
    collector, socket = Collector(), services.listening_socket()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "GATEWAY_UPSTREAMS_TOOLS_ERA": "legacy",
                   "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret-of-the-collector"}

    def tool_server():
        return running(services.tool_server(database, sockets={"main": socket})).listening("main")

    tools = tool_server()
    front = running(services.gateway(tools.addresses["main"], environment=environment))
    front.ready()
    assert chat(front.addresses["main"], {"type": "search_projects", "query": "urgent"}, {"X-Request-Id": "r-1"})[0] == 200
    # The next one has a key of its own, and knows none of the sessions.
    assert tools.stop() == 0
    tool_server()
    status, headers, _ = chat(
        front.addresses["main"], {"type": "search_projects", "query": "urgent"}, {"X-Request-Id": "r-2"})
    assert status == 200
    first, second = (eventually(lambda: [entry for entry in front.messages("request")
                                         if entry["http.request_id"] == name], what="the line")[0]
                     for name in ("r-1", "r-2"))
    assert (first["upstream.era"], first["upstream.replays"]) == ("legacy", 0)
    assert (second["upstream"], second["upstream.era"], second["upstream.replays"]) == ("tools", "legacy", 1)
    assert second["session.reused"] is False
    assert 'gateway_upstream_replays_total{upstream="tools"} 1\n' in front.metrics()
    assert front.stop() == 0
    (span,) = [span for span in collector.spans.values()
               if span["name"] == "tools/call search_projects" and attributes(span)["mcp.replays"] == 1]
    told = attributes(span)
    assert (told["peer.service"], told["mcp.era"], told["mcp.session.reused"]) == ("tools", "legacy", False)
    assert "replay" in [event["name"] for event in span["events"]]


def test_what_the_model_is_asked_is_part_of_the_trace(database, running):
    from test_processes import FakeProvider
    collector, provider = Collector(), FakeProvider()
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                   "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret-of-the-collector"}
    tools = running(services.tool_server(database, environment=environment | {
        "AI_BASE_URL": provider.url, "AI_MODEL": "tiny", "AI_API_KEY": "key-of-the-test"})).listening()
    front = running(services.gateway(tools.addresses["main"], environment=environment))
    front.ready()
    assert chat(front.addresses["main"], {"message": "Search first"})[0] == 200
    assert front.stop() == 0
    assert tools.stop() == 0
    ours = list(collector.spans.values())
    (tool,) = [span for span in ours if span["service"] == "tool-server" and span["name"] == "tools/call chat"]
    models = [span for span in ours if span["name"] == "chat tiny"]
    (search,) = [span for span in ours if span["name"] == "tools/call search_projects"]
    # Asked, a tool called at its wish, asked again.
    assert len(models) == 2
    for span in [*models, search]:
        assert (span["traceId"], span["parentSpanId"]) == (tool["traceId"], tool["spanId"])
    port = int(provider.url.split(":")[2].split("/")[0])
    for span in models:
        assert span["kind"] == 3
        told = attributes(span)
        assert told["gen_ai.operation.name"] == "chat" and told["gen_ai.request.model"] == "tiny"
        assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (3, 1)
        assert (told["server.address"], told["server.port"]) == ("127.0.0.1", port)
    text = json.dumps(ours)
    assert "Search first" not in text and "key-of-the-test" not in text and "urgent" not in text


def test_a_collector_that_is_away_changes_nothing(database, running):
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{services.free_port()}",
                   "GATEWAY_TRACING_INTERVAL": "10ms"}
    tools = running(services.tool_server(database)).listening()
    front = running(services.gateway(tools.addresses["main"], environment=environment))
    front.ready()
    for _ in range(5):
        assert chat(front.addresses["main"], {"type": "search_projects", "query": "urgent"})[0] == 200
    eventually(lambda: front.messages("trace collector failed"), what="the warning")
    assert chat(front.addresses["main"], {"type": "search_projects", "query": "urgent"})[0] == 200
    assert front.stop() == 0
    assert len(front.messages("trace collector failed")) == 1
    assert tools.stop() == 0
