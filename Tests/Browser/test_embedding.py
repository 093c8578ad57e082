"""The component in a page of somebody else's, and the old page's two functions."""

import re

from browser import ChatPage
from services import ROOT, Stack
from upstreams import ScriptedMCP


def _old(driver, stack):
    page = ChatPage(driver, stack.url)
    page.reset()
    driver.get(stack.url + "/old/index.html")
    return page


def test_the_old_functions_work_unchanged(driver, stack):
    page = _old(driver, stack)
    run = lambda script: driver.execute_async_script(f"const done = arguments[0]; {script}")
    replies = run("oldPage._callApiAndHandleReplies({ type: 'search_any', model: 'projects', query: 'urgent' }).then(done)")
    assert {"name": "Urgent Q2", "url": "/psm/project/123/"} in replies
    assert "Urgent Q2" in driver.find_element("id", "old").text
    failed = run("oldPage._callApiAndHandleReplies({ type: 'search_any', query: 'urgent' }).then(done)")
    assert failed == []
    assert "Missing model or query" in driver.find_element("id", "old").text
    assert run("oldPage.callMcp('echo', { message: 'Hello' }).then(done)") == {"Echo": "Hello"}
    results = run("oldPage.callMcp('search_any', { model: 'projects', query: 'urgent' }).then(done)")
    assert {"name": "Urgent Q2", "url": "/psm/project/123/"} in results
    assert run("oldPage.callMcp('get_user_info', {}).catch((error) => done(error.message))") == "Not authenticated"
    assert page.violations() == []


def test_the_same_functions_on_the_component(driver, stack):
    page = _old(driver, stack)
    page.ready()
    run = lambda script: driver.execute_async_script(f"const done = arguments[0]; {script}")
    replies = run("newPage._callApiAndHandleReplies({ type: 'search_any', model: 'projects', query: 'urgent' }).then(done)")
    assert {"name": "Urgent Q2", "url": "/psm/project/123/"} in replies
    assert "Urgent Q2" in page.answer()
    assert run("newPage._callApiAndHandleReplies({ type: 'search_any', query: 'x' }).then(done)") == []
    assert "Missing model or query." in page.error()
    assert run("newPage.callMcp('echo', { message: 'Hello' }).then(done)") == {"Echo": "Hello"}


def test_a_page_chooses_types_and_needs_two_lines(page):
    page.js("chat.setAttribute('types', 'chat search_any')")
    assert page.js("return chat.types.map((type) => type.name)") == ["chat", "search_any"]
    page.js("chat.setAttribute('types', 'chat')")
    assert page.js("return find('select').closest('.field').hidden")


def test_events_carry_the_exchange(page):
    page.driver.execute_script(
        "window.heard = []; for (const name of ['mcp-chat-request', 'mcp-chat-response', 'mcp-chat-error'])"
        "document.addEventListener(name, (event) => window.heard.push([name, event.detail.payload.type]))"
    )
    page.ask("search_any", model="projects", query="urgent")
    page.ask("get_user_info")
    assert page.driver.execute_script("return window.heard") == [
        ["mcp-chat-request", "search_any"], ["mcp-chat-response", "search_any"],
        ["mcp-chat-request", "get_user_info"], ["mcp-chat-error", "get_user_info"],
    ]


def test_every_text_of_the_page_can_be_replaced(driver):
    """Each text becomes one of a language that nobody speaks; then nothing English is left to be seen."""
    assets = ROOT / "Sources/CChatPage/Assets"
    names = set(re.findall(r'data-(?:text|label)="([^"]+)"', (assets / "index.html").read_text()))
    for file in ("page-texts.js", "mcp-chat-texts.js"):
        names |= set(re.findall(r"^    '?([\w.]+)'?: '", (assets / file).read_text(), re.MULTILINE))
    # Types and fields without a text of their own are shown as words.
    types = {"search_projects", "search_any", "get_user_info", "ai_prompt", "chat", "history"}
    names |= {f"type.{name}" for name in types}
    texts = {name: "ŁŁ {0} {1} {2}" for name in names}
    stack = Stack(
        ScriptedMCP({}),
        {"upstreams": {"tools": {"url": "http://127.0.0.1:1/mcp/", "era": "legacy"}},
         "pageTexts": {**texts, "lang": "pl", "dir": "rtl"}})
    try:
        page = ChatPage(driver, stack.url)
        page.reset()
        page.open()
        page.choose("chat")
        page.fill(message="x")
        page.submit()
        page.idle()
        root = driver.execute_script("return [document.documentElement.lang, document.documentElement.dir]")
        assert root == ["pl", "rtl"]
        # What is no text: names and code, as they are.
        shown = driver.execute_script("""
            const texts = [document.title];
            const walk = (node) => {
                if (node.nodeType === Node.TEXT_NODE) texts.push(node.data);
                else if (!['CODE', 'PRE', 'SCRIPT', 'STYLE', 'NOSCRIPT', 'BDI'].includes(node.tagName)) {
                    for (const name of ['aria-label', 'placeholder', 'title']) texts.push(node.getAttribute?.(name) ?? '');
                    for (const child of [...(node.shadowRoot?.childNodes ?? []), ...node.childNodes]) walk(child);
                }
            };
            walk(document.body);
            return texts.map((text) => text.trim()).filter(Boolean);
        """)
        left = [text for text in shown if "ŁŁ" not in text and re.search("[A-Za-z]{3}", text)]
        # The tools' own descriptions and the types' names.
        known = re.compile(r"The tool \w+\.|openapi\.json|mcp-chat\.d\.ts|" + "|".join(types))
        assert [text for text in left if not known.fullmatch(text)] == []
        assert page.violations() == []
    finally:
        stack.stop()
