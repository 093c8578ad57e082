"""Signing in at the authorization server, clicked through in Chromium, with a client that listens on loopback."""

import base64
import hashlib
import http.server
import json
import re
import subprocess
import threading
import urllib.parse
import urllib.request

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from django_site import DjangoSite
from services import BIN, ROOT, Nginx, Service, free_port
from test_access import axe

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class Site:
    """nginx, the two products of the example behind it, and the client's listener for the answer.

    `django` is the site whose accounts are used; without it they are the tool-server's own.
    """

    def __init__(self, directory, django=None):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        document = json.loads((ROOT / "deploy/examples/oauth/gateway.json").read_text())
        document["allowedHosts"] = ["127.0.0.1"]
        document["toolServer"] |= {
            "allowedHosts": ["127.0.0.1"], "database": str(directory / "chat.sqlite"), "publicURL": self.url + "/mcp"}
        path = directory / "gateway.json"
        environment = {}
        if django:
            document["toolServer"] |= {
                "database": str(django.database), "stateDatabase": str(directory / "chat.sqlite"),
                "identity": ["django"], "tools": {}, "oauth": {
                    "scopes": {"records:read": {"words": "read your records"}},
                    "clients": document["toolServer"]["oauth"]["clients"]}}
            environment = {"DJANGO_SECRET_KEY": django.secret}
        path.write_text(json.dumps(document))
        if not django:
            seeded = subprocess.run([BIN / "tool-server", "seed", "--config", path], capture_output=True, text=True,
                                    check=True)
            self.password = re.search(r"user alice with password (\S+)", seeded.stdout)[1]
        self.server = Service([BIN / "tool-server", "--config", path, "--transport", "http", "--port", "0"],
                              environment)
        upstream = f"http://{self.server.address('main')}/mcp/"
        self.gateway = Service([BIN / "gateway", "--config", path, "--listen", "127.0.0.1:0", "--admin",
                                "127.0.0.1:0", "--upstream", upstream])
        self.nginx = Nginx(directory / "nginx", self.gateway.address("main"), port=port,
                           sites={"/accounts/": django.address} if django else None)
        answers = self.answers = []

        class Callback(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path.startswith("/callback?"):
                    answers.append(urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query))
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<title>Back</title>")

            def log_message(self, *_):
                pass

        self.callback = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callback)
        threading.Thread(target=self.callback.serve_forever, daemon=True).start()
        self.redirect = f"http://127.0.0.1:{self.callback.server_address[1]}/callback"

    def authorize(self, **changes):
        fields = {"response_type": "code", "client_id": "desk", "redirect_uri": self.redirect, "state": "s",
                  "code_challenge": CHALLENGE, "code_challenge_method": "S256", "resource": self.url + "/mcp"}
        return f"{self.url}/oauth/authorize?" + urllib.parse.urlencode({**fields, **changes})

    def token(self, answer):
        fields = {"grant_type": "authorization_code", "code": answer["code"][0], "client_id": "desk",
                  "redirect_uri": self.redirect, "code_verifier": VERIFIER}
        with urllib.request.urlopen(f"{self.url}/oauth/token", urllib.parse.urlencode(fields).encode()) as response:
            return json.load(response)

    def call(self, token, tool):
        request = urllib.request.Request(f"{self.url}/mcp/{tool}", b"{}", {"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def stop(self):
        self.nginx.stop()
        self.gateway.stop()
        self.server.stop()
        self.callback.shutdown()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("oauth"))
    yield site
    site.stop()


@pytest.fixture(scope="module")
def site_of_django(tmp_path_factory):
    directory = tmp_path_factory.mktemp("django")
    django = DjangoSite(directory)
    site = Site(directory, django)
    yield site
    site.stop()
    django.stop()


def title(driver, text):
    WebDriverWait(driver, 10).until(lambda driver: driver.title == text, f"{driver.title}\n{driver.page_source}")


def check(driver):
    """A page of ours: nothing refused by its policy, no script, no wider than a phone, every field labelled, no barrier
    that axe-core finds."""
    assert driver.execute_script("return window.violations") == []
    assert driver.execute_script("return document.scripts.length") == 0
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert driver.execute_script(
        "return [...document.querySelectorAll('input:not([type=hidden])')].every((field) => field.labels.length)")
    assert axe(driver) == []


def test_a_person_signs_in_allows_and_withdraws(driver, site):
    driver.delete_all_cookies()
    driver.set_window_size(390, 800)
    driver.get(site.authorize(login_hint="alice"))
    title(driver, "Sign in")
    check(driver)
    assert driver.find_element(By.ID, "username").get_attribute("value") == "alice"
    driver.find_element(By.ID, "password").send_keys("wrong")
    driver.find_element(By.CSS_SELECTOR, "button.main").click()
    WebDriverWait(driver, 10).until(lambda driver: "Wrong user name" in driver.page_source)
    check(driver)
    assert driver.find_element(By.CSS_SELECTOR, "[role=alert]").is_displayed()
    driver.find_element(By.ID, "password").send_keys(site.password)
    driver.find_element(By.CSS_SELECTOR, "button.main").click()
    title(driver, "Allow The Desk?")
    check(driver)
    text = driver.find_element(By.TAG_NAME, "main").text
    for words in ["alice", "read your records", "an application on your own device", "known to the operator"]:
        assert words in text
    driver.find_element(By.CSS_SELECTOR, "button[value=allow]").click()
    title(driver, "Back")
    answer = site.answers[-1]
    assert answer["state"] == ["s"] and answer["iss"] == [site.url]
    assert set(site.token(answer)["scope"].split()) == {"records:read", "chat"}

    driver.get(f"{site.url}/oauth/grants")
    title(driver, "Your permissions")
    check(driver)
    assert "The Desk" in driver.find_element(By.TAG_NAME, "main").text
    driver.find_element(By.CSS_SELECTOR, "form button").click()
    WebDriverWait(driver, 10).until(lambda driver: "You have given no permission" in driver.page_source)


def test_who_does_not_allow_sends_the_client_away(driver, site):
    driver.get(site.authorize())
    title(driver, "Allow The Desk?")
    driver.find_element(By.CSS_SELECTOR, "button[value=deny]").click()
    title(driver, "Back")
    assert site.answers[-1]["error"] == ["access_denied"]


def test_no_page_is_framed(driver, site):
    driver.get(site.redirect)
    driver.execute_script(
        "const frame = document.createElement('iframe'); frame.src = arguments[0]; document.body.append(frame);"
        "frame.onload = () => (window.loaded = true)", site.authorize())
    WebDriverWait(driver, 10).until(lambda driver: driver.execute_script("return window.loaded"))
    driver.switch_to.frame(0)
    assert "The Desk" not in driver.page_source
    driver.switch_to.default_content()


def test_a_user_of_a_django_site_signs_in_there(driver, site_of_django):
    site = site_of_django
    driver.delete_all_cookies()
    driver.get(site.authorize())
    title(driver, "The site's login")
    driver.find_element(By.ID, "id_username").send_keys("mary")
    driver.find_element(By.ID, "id_password").send_keys("wrong")
    driver.find_element(By.TAG_NAME, "button").click()
    title(driver, "The site's login")
    driver.find_element(By.ID, "id_username").clear()
    driver.find_element(By.ID, "id_username").send_keys("mary")
    driver.find_element(By.ID, "id_password").send_keys("a password of the site")
    driver.find_element(By.TAG_NAME, "button").click()
    title(driver, "Allow The Desk?")
    check(driver)
    assert "mary" in driver.find_element(By.TAG_NAME, "main").text
    driver.find_element(By.CSS_SELECTOR, "button[value=allow]").click()
    title(driver, "Back")
    answer = site.answers[-1]
    assert answer["iss"] == [site.url]
    assert site.call(site.token(answer)["access_token"], "get_user_info")["results"]["username"] == "mary"
