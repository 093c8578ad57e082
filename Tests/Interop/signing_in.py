"""A stack whose tool-server issues tokens, and a person with a browser who signs in there."""
import json
import re
import urllib.parse

from conftest import ROOT, Process, free_port, run
from person import Browser  # noqa: F401 (the tests take it from here)
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CALLBACK = "http://127.0.0.1:1/callback"


class Stack:
    """A tool-server that issues tokens, and the gateway in front of it at the public URL."""

    def __init__(self, directory):
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/mcp"
        document = json.loads((ROOT / "gateway.json").read_text())
        document["toolServer"] = {
            "database": str(directory / "tool-server.sqlite"), "identity": ["builtin"], "publicURL": self.url,
            "requireAuthentication": True,
            "oauth": {"registration": True, "scopes": {"records:read": {"words": "read your records"}},
                      "clients": {"known": {"name": "Known", "redirectURIs": ["http://127.0.0.1/callback"]}}},
            "tools": {"search_projects": {"scopes": ["records:read"]}, "chat": {"scopes": ["chat"]}},
        }
        self.path = directory / "gateway.json"
        self.path.write_text(json.dumps(document))
        seeded = run("tool-server", "seed", "--config", str(self.path))
        self.password = re.search(r"created user alice with password (\S+)", seeded)[1]
        self.server = self.start()
        self.gateway = Process(
            "gateway", "--config", str(self.path), "--listen", f"127.0.0.1:{self.port}", "--admin", "127.0.0.1:0",
            "--upstream", f"http://{self.server.addresses['main']}/mcp/").wait("main", "admin", ready=False)

    def start(self, port="0"):
        return Process("tool-server", "--config", str(self.path), "--transport", "http", "--port", port, "--admin",
                       "127.0.0.1:0").wait("main", "admin")

    def restart(self):
        port = self.server.addresses["main"].rsplit(":", 1)[1]
        assert self.server.stop() == 0
        self.server = self.start(port)

    def stop(self):
        assert self.gateway.stop() == 0
        assert self.server.stop() == 0


class Chromium:
    """The same person with a real browser, which clicks."""

    def __init__(self, stack):
        self.stack = stack
        self.titles = []
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))

    def shows(self, beginning):
        WebDriverWait(self.driver, 20).until(lambda driver: driver.title.startswith(beginning), self.driver.page_source)
        self.titles.append(self.driver.title)

    def allow(self, url):
        self.driver.get(url)
        self.shows("Sign in")
        self.driver.find_element(By.ID, "username").send_keys("alice")
        self.driver.find_element(By.ID, "password").send_keys(self.stack.password)
        self.driver.find_element(By.CSS_SELECTOR, "button.main").click()
        self.shows("Allow ")
        self.driver.find_element(By.CSS_SELECTOR, "button[value=allow]").click()
        # Nothing listens there: the address is what the client would be called with.
        WebDriverWait(self.driver, 20).until(lambda driver: driver.current_url.startswith(CALLBACK))
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.driver.current_url).query)

    def close(self):
        self.driver.quit()


class Storage:
    """The client's memory."""

    def __init__(self, client=None):
        self.client, self.tokens = client, None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client
