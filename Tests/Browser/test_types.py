"""Every type, through the component, the gateway and the tool-server."""

import gzip
import json
import re
import subprocess

import pytest

from services import get


def test_a_search_shows_links(page):
    page.ask("search_any", model="projects", query="urgent")
    assert "Urgent Q2" in page.answer()
    assert page.url + "/psm/project/123/" in page.links()
    assert len(page.links()) <= 5
    assert "search_any" in page.answer()


def test_names_are_shown_as_plain_text(page):
    page.ask("search_projects", query="urgent")
    assert "Urgent Q2" in page.answer()


def test_nothing_found_is_said(page):
    page.ask("search_any", model="projects", query="no such thing anywhere")
    assert "Nothing was found." in page.answer()


@pytest.mark.parametrize("name", ["chat", "ai_prompt"])
def test_an_answer_is_written(page, name):
    page.ask(name, message="Two **strong** words")
    assert page.js("return last().querySelector('.answer strong').textContent") == "strong"
    assert "Echo: Two" in page.answer()


@pytest.mark.parametrize("name", ["get_user_info", "history"])
def test_what_needs_a_login_says_so(page, name):
    page.ask(name)
    assert "Please log in first." in page.error()


def test_sources_are_links(scripted_page):
    page = scripted_page
    page.ask("chat", message="cited")
    assert page.js("return [...last().querySelectorAll('.answer a')].map((a) => [a.textContent, a.pathname])") == [
        ["Service Levels", "/ai/document/11/"], ["[1]", "/ai/document/3/"], ["Urgent Q2", "/psm/project/123/"],
        ["Q2 Status Report", "/ai/document/3/"],
    ]


def test_a_type_may_be_sent_from_its_own_form(page):
    page.driver.execute_script(
        """
        const form = [...document.querySelectorAll('details.type')]
            .find((details) => details.querySelector('summary code').textContent === 'search_any');
        form.open = true;
        form.querySelector('[name=model]').value = 'customers';
        form.querySelector('[name=query]').value = 'a';
        form.querySelector('button[type=submit]').click();
        """
    )
    page.idle()
    assert page.links()


def test_a_missing_field_is_said_beside_it(page):
    page.choose("search_any")
    page.fill(query="urgent")
    page.submit()
    assert "Please fill in “Kind of record”." in page.js("return find('form').innerText")
    assert page.js("return chat.shadowRoot.activeElement.name") == "model"
    assert page.js("return all('.turn').length") == 0


def test_the_panel_shows_what_was_sent_and_carried(page):
    page.ask("search_any", model="projects", query="it's urgent")
    panel = page.driver.find_element("id", "exchange").text
    assert "POST /api/chat/" in panel
    assert '"method": "tools/call"' in panel
    assert "Derived in this page" in panel
    assert "MCP session" in panel and "From Server-Timing" in panel
    assert "it'\\''s urgent" in panel


def test_the_panel_repeats_a_read_only_call_over_mcp(page):
    page.ask("search_any", model="projects", query="urgent")
    page.driver.execute_script("document.querySelector('#mcp > button').click()")
    page.eventually("return document.querySelector('#mcp').innerText.includes('structuredContent')")
    assert "/psm/project/123/" in page.driver.find_element("id", "mcp").text


def test_the_panel_does_not_repeat_a_call_that_writes(page):
    page.ask("chat", message="hello")
    assert "not read-only" in page.driver.find_element("id", "mcp").text


def test_the_curl_line_works(page, tmp_path):
    page.ask("search_any", model="projects", query="urgent")
    line = page.driver.execute_script("return document.querySelector('#curl code').textContent")
    output = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert "Urgent Q2" in output


def test_the_page_can_be_used_after_few_requests(page):
    page.open()
    # How long that takes is the machine's: what the page asks for before it can be used, and what it then asks, is not.
    before = page.driver.execute_script(
        "return performance.getEntriesByType('resource').filter(({ responseEnd }) => responseEnd <= window.interactiveAt)"
        ".map(({ name }) => new URL(name).pathname)")
    print(before)
    assert before.count("/openapi.json") == 1
    assert all(path.startswith("/assets/") for path in before if path != "/openapi.json")
    assert len(before) <= 12


def test_the_files_are_small_and_cached(stack):
    status, headers, html = get(stack.url + "/", {"Accept-Encoding": "gzip"})
    assert status == 200 and headers["content-encoding"] == "gzip"
    page = gzip.decompress(html).decode()
    total = len(html)
    for path in sorted(set(re.findall(r'(?:href|src)="(assets/[^"]+\?v=[^"]+)"', page))):
        status, headers, body = get(f"{stack.url}/{path}", {"Accept-Encoding": "gzip"})
        assert status == 200, path
        assert "immutable" in headers["cache-control"], path
        assert get(f"{stack.url}/{path}", {"Accept-Encoding": "gzip", "If-None-Match": headers["etag"]})[0] == 304
        total += len(body)
    print("compressed:", total, "bytes")
    assert total < 40_000
    assert "?v=dev" not in page


def test_the_models_are_offered(page):
    page.choose("search_any")
    assert page.js("const field = find('[name=model]'); return [...field.list.options].map(({ value }) => value)") == [
        "projects", "tasks", "customers", "documents",
    ]
    status, _, body = get(page.url + "/openapi.json")
    schemas = json.loads(body)["components"]["schemas"].values()
    schema = next(schema for schema in schemas if "model" in schema.get("properties", {}))
    assert status == 200 and schema["properties"]["model"]["examples"] == ["projects", "tasks", "customers", "documents"]


def test_an_empty_chat_offers_what_may_be_asked(page):
    labels = page.js("return all('.empty .example').map((button) => button.textContent)")
    assert 2 <= len(labels) <= 4
    page.js("all('.empty .example').find((button) => button.textContent.startsWith('Search any')).click()")
    page.idle()
    assert "Urgent Q2" in page.answer()
    assert page.js("return all('.empty').length") == 0
    page.js("chat.clear()")
    assert page.js("return all('.empty .example').length") == len(labels)
