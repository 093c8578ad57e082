"""A Chromium, and the page as a test sees it."""

import json
import time

import services
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

#: Counts what the policy refused, and notes when the page can be used.
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) =>
    window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
document.addEventListener('mcp-chat-types', () => (window.interactiveAt = performance.now()), { once: true });
"""

#: `find(selector)` looks into the component's shadow tree.
HELPERS = """
const chat = document.querySelector('mcp-chat');
const find = (selector) => chat.shadowRoot.querySelector(selector);
const all = (selector) => [...chat.shadowRoot.querySelectorAll(selector)];
const last = () => all('.turn').at(-1);
"""


def eventually(probe, complaint, log=(), within=60.0):
    """As that of the services, for a probe that looks at a page, which may be drawn anew meanwhile."""
    def look():
        try:
            return probe()
        except StaleElementReferenceException:
            return None

    return services.eventually(look, complaint, log, within)


def start_chromium():
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
        "--force-device-scale-factor=1", "--lang=en-GB", "--disable-background-networking", "--no-first-run",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_script_timeout(20)
    driver.execute_cdp_cmd("Page.enable", {})
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    return driver


class ChatPage:
    def __init__(self, driver, url):
        self.driver = driver
        self.url = url

    # Loading

    def open(self, path="/"):
        self.driver.get(self.url + path)
        self.ready()
        return self

    def ready(self):
        self.driver.execute_async_script(
            "const done = arguments[0]; customElements.whenDefined('mcp-chat')"
            ".then(() => document.querySelector('mcp-chat').ready).then(() => done());"
        )

    def js(self, script, *arguments):
        return self.driver.execute_script(HELPERS + script, *arguments)

    def eventually(self, script, *arguments, within=60.0):
        """Waits until the script returns something true, and returns it."""
        end = time.monotonic() + within
        while True:
            result = self.js(script, *arguments)
            if result:
                return result
            assert time.monotonic() < end, f"never true: {script}\n{self.text()}"
            time.sleep(0.03)

    # Using

    def choose(self, name):
        self.js("chat.choose(arguments[0])", name)

    def fill(self, **fields):
        for name, text in fields.items():
            control = self.js("return find(`.fields [name=${arguments[0]}]`)", name)
            if "\n" in text:
                self.js(
                    "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))", control, text
                )
                continue
            control.clear()
            control.send_keys(text)

    def submit(self):
        self.js("return find('button[type=submit]')").click()

    def ask(self, name, **fields):
        """Asks as a user does, and waits for the end of the answer."""
        self.choose(name)
        self.fill(**fields)
        self.submit()
        self.idle()

    def idle(self, within=60.0):
        self.eventually("return all('.turn').length > 0 && !chat.isBusy", within=within)

    def text(self):
        return self.js("return chat ? find('.log').innerText : document.body.innerText")

    def answer(self):
        return self.js("return last().querySelector('.answer').innerText")

    def error(self):
        return self.js("return last().querySelector('.error')?.innerText ?? ''")

    def links(self):
        return self.js("return [...last().querySelectorAll('.answer a')].map((a) => a.getAttribute('href'))")

    def log_in(self, name, password):
        self.driver.find_element(By.CSS_SELECTOR, "#login > summary").click()
        self.driver.find_element(By.ID, "username").send_keys(name)
        self.driver.find_element(By.ID, "password").send_keys(password + Keys.ENTER)

    # The browser's surroundings

    def violations(self):
        return self.driver.execute_script("return window.violations")

    def offline(self, is_offline):
        conditions = {"offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)

    def scheme(self, name):
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def size(self, width, height):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def reset(self):
        self.offline(False)
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.scheme("light")
        self.driver.delete_all_cookies()

    def console(self):
        """Errors of the page's programs; answers with an error status are listed by the browser as well."""
        entries = self.driver.get_log("browser")
        return [e["message"] for e in entries if e["level"] == "SEVERE" and e["source"] != "network"]
