"""The packages on a machine: installed, edited, started, upgraded, removed, purged."""
import json
import re

from conftest import ROOT

START = """
systemctl enable --now chat-tool-server.socket chat-gateway.socket chat-tool-server.service chat-gateway.service
"""
ASK = """
curl -sS http://127.0.0.1:8080/api/chat/ -d '{"type":"search_any","model":"projects","query":"urgent"}'
echo
"""
SEED = """
runuser -u chat-tool-server -- tool-server seed --database /var/lib/chat-tool-server/chat.sqlite
"""
FOUND = '"name":"Urgent Q2"'


def test_from_installation_to_purge(machine):
    output = machine(f"""
        dpkg -i packages/chat-gateway_1.0.0_*.deb packages/chat-tool-server_1.0.0_*.deb </dev/null
        echo "--- installed"
        ! pidof gateway tool-server
        gateway check
        {SEED}

        echo "--- edited"
        sed -i 's/"admin": "127.0.0.1:9090"/"admin": "127.0.0.1:9099"/' /etc/chat-gateway/gateway.json
        echo GATEWAY_LOG_LEVEL=debug >/etc/chat-gateway/gateway.env
        {START} {ASK}
        ps -o user:20=,args= -C gateway,tool-server
        stat -c '%U %a %n' /var/lib/chat-tool-server /var/lib/chat-tool-server/chat.sqlite

        echo "--- upgraded"
        before=$(pidof gateway tool-server)
        dpkg -i packages/next/*.deb </dev/null
        [ "$before" != "$(pidof gateway tool-server)" ]
        dpkg-query -W chat-gateway chat-tool-server
        grep -q 9099 /etc/chat-gateway/gateway.json
        curl -sS http://127.0.0.1:9099/readyz
        {ASK}

        echo "--- removed"
        dpkg -r chat-gateway chat-tool-server
        ! pidof gateway tool-server
        ! command -v gateway
        ls /etc/chat-gateway /var/lib/chat-tool-server

        echo "--- installed again"
        dpkg -i packages/next/*.deb </dev/null
        {START} {ASK}

        echo "--- purged"
        dpkg -P chat-gateway chat-tool-server
        ls -d /etc/chat-gateway /var/lib/chat-tool-server /usr/share/doc/chat-* /usr/lib/systemd/system/chat-* || true
        getent passwd chat-gateway chat-tool-server
    """)
    parts = dict(re.findall(r"^--- (.*)\n((?:(?!--- ).*\n?)*)", output, re.MULTILINE))
    assert "gateway.json: valid, 6 types" in parts["installed"]
    assert "created user alice with password" in parts["installed"]
    for name in ("edited", "upgraded", "installed again"):
        assert FOUND in parts[name], name
    processes = [line.split(None, 1) for line in parts["edited"].splitlines() if " serve " in line]
    assert {(user, words.split()[0]) for user, words in processes} == {
        ("chat-gateway", "/usr/bin/gateway"), ("chat-tool-server", "/usr/bin/tool-server")}
    assert "chat-tool-server 700 /var/lib/chat-tool-server\n" in parts["edited"]
    assert re.findall(r"\t(1\.0\.1)$", parts["upgraded"], re.MULTILINE) == ["1.0.1", "1.0.1"]
    assert '"status":"ready"' in parts["upgraded"]
    for file in ("gateway.json", "gateway.env", "chat.sqlite"):
        assert file in parts["removed"], file
    assert not re.search("^/", parts["purged"], re.MULTILINE), parts["purged"]
    assert "chat-gateway:" in parts["purged"] and "/usr/sbin/nologin" in parts["purged"]


def test_the_tool_server_alone_has_its_configuration(machine):
    output = machine(f"""
        dpkg -i packages/chat-tool-server_1.0.0_*.deb </dev/null
        cmp /etc/chat-gateway/gateway.json /usr/share/chat-tool-server/gateway.json
        {SEED}
        systemctl enable --now chat-tool-server.socket chat-tool-server
        curl -sS http://127.0.0.1:8001/mcp/ -d '{{"command":"search_projects","arguments":{{"query":"urgent"}}}}'
        echo
        # The gateway comes later and takes the file over; a question would end dpkg.
        dpkg -i packages/chat-gateway_1.0.0_*.deb </dev/null
        dpkg -P chat-tool-server
        grep -q upstreams /etc/chat-gateway/gateway.json
        dpkg -P chat-gateway
        [ ! -e /etc/chat-gateway ]
        # And alone it takes the file with it.
        dpkg -i packages/chat-tool-server_1.0.0_*.deb </dev/null
        dpkg -P chat-tool-server
        [ ! -e /etc/chat-gateway ]
        echo end
    """)
    assert '"Urgent Q2"' in output and output.endswith("end\n")


def test_the_units_are_valid_where_they_are_installed(machine):
    output = machine("""
        command -v systemd-analyze >/dev/null || { echo none; exit 0; }
        dpkg -i packages/chat-gateway_1.0.0_*.deb packages/chat-tool-server_1.0.0_*.deb </dev/null >/dev/null
        for unit in chat-gateway chat-tool-server; do
            systemd-analyze verify --man=no /usr/lib/systemd/system/$unit.service 2>&1 | grep "$unit" || true
            systemd-analyze security --offline=true --threshold=25 /usr/lib/systemd/system/$unit.service | tail -1
        done
    """)
    lines = output.strip().splitlines()
    assert lines == ["none"] or len(lines) == 2 and all("Overall exposure level" in line for line in lines), output


def test_the_schema_has_the_tool_servers_section(machine):
    output = machine("""
        dpkg -i packages/chat-gateway_1.0.0_*.deb packages/chat-tool-server_1.0.0_*.deb </dev/null >/dev/null
        gateway schema
    """)
    assert "database" in json.loads(output)["properties"]["toolServer"]["properties"]


def test_the_tarball_runs_from_any_directory(machine):
    output = machine(r"""
        mkdir "a place"
        tar -x -C "a place" -f packages/chat-gateway-1.0.0-linux-*.tar.xz
        cd "a place"/*
        # The commands of its README, with a moment for the start.
        sed -n '/^```sh$/,/^```$/{/^```/d;p}' README.md | sed 's/^curl /curl --retry 20 --retry-delay 1 --retry-all-errors /' >commands
        bash -e commands
        kill $(pidof gateway tool-server)
    """)
    assert FOUND in output


def test_the_readme_can_be_followed(machine):
    text = (ROOT / "deploy/README.md").read_text()
    section = text[text.index("## From Debian packages"):]
    commands = re.search("^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[1]
    # The dependencies are there; dpkg needs no network for the rest.
    commands = commands.replace("apt-get install ./", "dpkg -i ./")
    output = machine(f"cd packages\nrm -f /etc/chat-gateway/*\n{commands}")
    assert FOUND in output
