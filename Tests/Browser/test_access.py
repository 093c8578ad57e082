"""Keyboard, screen readers, languages, and pictures of the page for people to look at."""

import base64
import importlib.util
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from browser import eventually
from services import BIN, ROOT, Gateway

PICTURES = ROOT / ".build/screenshots"
SIZES = {"phone": (360, 740), "tablet": (820, 1180), "desktop": (1440, 900)}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def axe(driver):
    """What axe-core finds; it breaks the policy itself, so what the page did is looked at first."""
    assert driver.execute_script("return window.violations") == []
    place = Path(importlib.util.find_spec("axe_playwright_python").origin).parent / "axe.min.js"
    driver.execute_script(place.read_text())
    result = driver.execute_async_script(
        "const done = arguments[1]; axe.run(document, { runOnly: arguments[0] }).then(done, (e) => done({ failed: String(e) }))",
        RULES,
    )
    assert "failed" not in result, result
    found = [
        f"{violation['id']}: {node['target']} {node.get('failureSummary')}"
        for violation in result["violations"] for node in violation["nodes"]
    ]
    driver.execute_script("window.violations.length = 0")
    return found


def fill_the_page(page):
    page.ask("search_any", model="projects", query="urgent")
    page.ask("chat", message="What does *Markdown* look like?\n\n## A heading\n\n- one `code`\n- two\n\n> quoted\n\n```\nlet x = 1\n```\n\n[1]: /ai/document/7/ \"Password Policy\"\n\nSee [1] and https://elsewhere.example/page.")
    page.ask("get_user_info")


def picture(page, name):
    """What a visitor sees first, and the whole length of the page (where scrolled regions may be drawn unscrolled)."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    height = page.driver.execute_script("return document.documentElement.scrollHeight")
    width = page.driver.execute_script("return window.innerWidth")
    page.driver.execute_script("window.scrollTo(0, 0)")
    page.driver.save_screenshot(str(PICTURES / f"{name}.png"))
    data = page.driver.execute_cdp_cmd(
        "Page.captureScreenshot",
        {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}},
    )["data"]
    (PICTURES / f"{name}-whole.png").write_bytes(base64.b64decode(data))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_has_no_barriers_and_fits(page, size, scheme):
    page.size(*SIZES[size])
    page.scheme(scheme)
    page.open()
    fill_the_page(page)
    page.eventually("const log = find('.log'); return log.scrollHeight - log.scrollTop - log.clientHeight < 2")
    page.driver.execute_script("document.querySelector('details.type').open = true")
    picture(page, f"page-{size}-{scheme}")
    page.driver.execute_script("document.querySelector('#login').open = true")
    assert page.driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert page.js("return find('.log').scrollWidth <= find('.log').clientWidth")
    assert axe(page.driver) == []


def test_it_reads_from_right_to_left(page):
    page.size(*SIZES["desktop"])
    page.driver.execute_script("document.documentElement.dir = 'rtl'; document.documentElement.lang = 'ar'")
    page.js(
        """chat.texts = { send: 'إرسال', stop: 'إيقاف', clear: 'مسح', you: 'أنت', answer: 'الجواب', type: 'اسأل عن',
        empty: 'لم يُسأل شيء بعد.', 'type.chat': 'محادثة', 'field.message': 'الرسالة', 'type.search_any': 'بحث',
        'field.query': 'كلمة البحث', 'field.model': 'النوع', duration: '{ms} مللي ثانية', tool: 'الأداة: {tool}' }"""
    )
    assert page.js("return find('button[type=submit]').textContent") == "إرسال"
    page.ask("search_any", model="projects", query="urgent")
    page.ask("chat", message="مرحبا، كيف الحال؟ Urgent Q2 (عاجل)")
    ask = "const a = last().querySelector('.ask').getBoundingClientRect(), l = find('.log').getBoundingClientRect();"
    assert page.js(ask + "return a.left - l.left < l.right - a.right")
    picture(page, "page-desktop-rtl")
    assert axe(page.driver) == []


def test_everything_can_be_done_with_the_keyboard(page):
    keys = lambda *sequence: ActionChains(page.driver).send_keys(*sequence).perform()
    focused = (
        "let node = document.activeElement; while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;"
        "return node.name || node.textContent.trim() || node.id || node.getAttribute('aria-label');"
    )

    def tab_to(name, limit=40):
        seen = []
        for _ in range(limit):
            keys(Keys.TAB)
            seen.append(page.driver.execute_script(focused))
            if seen[-1] == name:
                return
        raise AssertionError(f"no way to {name}: {seen}")

    tab_to("Skip to the chat", 1)
    keys(Keys.ENTER)
    tab_to("message", 8)
    keys("first line")
    ActionChains(page.driver).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()
    keys("second line", Keys.ENTER)
    page.idle()
    assert "first line" in page.answer() and "second line" in page.answer()
    assert page.driver.execute_script(focused) == "message"
    keys("slowly, to be stopped", Keys.ENTER)
    page.eventually("return last().innerText.includes('Echo: slowly')")
    keys(Keys.ESCAPE)
    page.idle(within=2)
    assert "Stopped." in page.answer()
    tab_to("Clear")
    keys(Keys.ENTER)
    assert page.js("return all('.turn').length") == 0
    tab_to("Send")
    # The outline of what has the focus can be seen.
    assert page.js("return getComputedStyle(find('button[type=submit]')).outlineStyle") != "none"


def test_nothing_moves_the_focus_or_speaks_without_reason(page):
    page.choose("chat")
    page.fill(message="hello")
    page.submit()
    page.idle()
    assert page.js("return find('.log').getAttribute('aria-live')") == "off"
    assert "Echo: hello" in page.js("return find('[role=status]').textContent")


def test_texts_can_be_replaced_one_by_one(page):
    page.js("chat.texts = { send: 'Senden' }")
    assert page.js("return find('button[type=submit]').textContent") == "Senden"
    assert page.js("return all('button').some((button) => button.textContent === 'Clear')")


def test_colours_can_be_replaced(page):
    page.driver.execute_script("document.querySelector('mcp-chat').style.setProperty('--mcp-chat-accent', 'rgb(1, 2, 3)')")
    assert page.js("return getComputedStyle(find('button[type=submit]')).backgroundColor") == "rgb(1, 2, 3)"


def test_operators_see_endpoints_with_their_upstreams_and_tools(driver, stack, tmp_path):
    gateway = Gateway(tmp_path, stack.upstream.url, {
        "upstreams": {"tools": {"url": stack.upstream.url, "trusted": True},
                      "local": {"command": str(BIN / "tool-server"), "args": ["--database", str(stack.upstream.database)]}},
        "mcp": {"endpoints": {"/mcp/": {"upstreams": {"tools": {"deny": ["chat"]}, "local": {"prefix": "local_"}}}}}})
    try:
        driver.get(gateway.admin + "/status")
        rows = ("return [...document.querySelectorAll('#endpoints tr')].map((row) => [...row.children]"
                ".map((cell) => cell.textContent))")
        shown = eventually(lambda: (found := driver.execute_script(rows)) and len(found) == 2 and "local_echo" in
                           found[1][2] and found, "no tools of both upstreams", gateway.service.log)
        assert [row[:2] for row in shown] == [["/mcp/", "tools"], ["/mcp/", "local (local_)"]]
        assert "search_any" in shown[0][2] and ", chat," not in shown[0][2]
        assert driver.execute_script("return !document.querySelector('#endpoints-section').hidden")
        # An open list stays open when the numbers change.
        driver.execute_script("document.querySelector('#endpoints details').open = true; "
                              "window.drawn = document.querySelector('#endpoints tr')")
        eventually(lambda: driver.execute_script("return window.drawn !== document.querySelector('#endpoints tr')"),
                   "the table is not drawn again", gateway.service.log)
        assert driver.execute_script("return document.querySelector('#endpoints details').open")
        assert axe(driver) == []
    finally:
        gateway.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_operators_see_the_state(page, stack, scheme):
    page.size(*SIZES["desktop"])
    page.scheme(scheme)
    page.ask("search_any", model="projects", query="urgent")
    page.ask("get_user_info")
    driver = page.driver
    driver.get(stack.gateway.admin + "/status")
    text = "return document.querySelector('main').innerText"
    page.js = lambda script, *arguments: driver.execute_script(script, *arguments)
    page.text = lambda: driver.execute_script(text)
    page.eventually("return document.querySelectorAll('#upstreams tr').length > 0 && document.querySelector('polyline')")
    shown = driver.execute_script(text)
    for word in ("ready", "reachable", "Breaker", "closed", "search_any", "tool_error", "Latency p99", "Sessions"):
        assert word in shown, word
    page.eventually("return document.querySelector('polyline').getAttribute('points').split(' ').length > 1")
    picture(page, f"status-desktop-{scheme}")
    assert axe(driver) == []
