import json

import pytest

import hostile
from browser import ChatPage, start_chromium
from services import ROOT, Stack, ToolServer
from upstreams import AskingMCP, Provider, ScriptedMCP


def pytest_addoption(parser):
    parser.addoption("--write-pictures", action="store_true", help="write docs/pictures/*.png, which takes five minutes")


@pytest.fixture(scope="session")
def driver():
    driver = start_chromium()
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def provider():
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture(scope="session")
def stack(provider):
    """Both products on demo data behind nginx, with the example of an old page beside them."""
    static = {
        "/old/vue.js": "/usr/share/javascript/vue/vue.js",
        "/old/": f"{ROOT}/deploy/examples/vue/",
    }
    stack = Stack(lambda directory: ToolServer(directory, provider.url), static=static)
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def scripted():
    """The gateway in front of a server that says what no decent one would."""
    stack = Stack(
        ScriptedMCP(hostile.ANSWERS),
        {"upstreams": {"tools": {"url": "http://127.0.0.1:1/mcp/", "era": "legacy", "retryWindow": "0s"}}},
    )
    yield stack
    stack.stop()


@pytest.fixture(scope="session", params=["modern", "legacy"])
def asking(request):
    """The gateway in front of a server whose chat asks its user, with the example of an old page beside it."""
    static = {
        "/old/vue.js": "/usr/share/javascript/vue/vue.js",
        "/old/": f"{ROOT}/deploy/examples/vue/",
    }
    chat = json.loads((ROOT / "gateway.json").read_text())["chat"]
    stack = Stack(
        AskingMCP(request.param == "modern"),
        {"chat": {**chat, "questions": True},
         "upstreams": {"tools": {"url": "http://127.0.0.1:1/mcp/", "trusted": True, "retryWindow": "0s"}}},
        static=static,
    )
    yield stack
    stack.stop()


def _page(driver, stack):
    page = ChatPage(driver, stack.url)
    page.reset()
    driver.get_log("browser")
    page.open()
    yield page
    assert page.violations() == []
    assert page.console() == []


@pytest.fixture
def page(driver, stack):
    yield from _page(driver, stack)


@pytest.fixture
def scripted_page(driver, scripted):
    yield from _page(driver, scripted)


@pytest.fixture
def asking_page(driver, asking):
    yield from _page(driver, asking)
