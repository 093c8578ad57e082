"""Data stays data: no script runs, nothing is loaded from elsewhere, no text pretends to be another."""

from urllib.parse import urlsplit

import hostile
from hostile import OVERRIDE


def _is_unharmed(page):
    assert page.driver.execute_script("return window.pwned") is None
    assert page.js("return last().querySelectorAll('img, script, iframe, style, object, form, svg').length") == 0
    handlers = "return all('*').flatMap((node) => [...node.attributes]).filter((a) => /^on|^style$/.test(a.name)).length"
    assert page.js(handlers) == 0
    origins = page.driver.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert {urlsplit(url).netloc for url in origins} == {urlsplit(page.url).netloc}


def test_hostile_search_results_are_shown_as_text(scripted_page):
    page = scripted_page
    page.ask("search_any", model="projects", query="hostile results")
    # The gateway passes at most five, the history and the page's own component any number.
    assert "<script>" in page.answer()
    links = page.links()
    assert links and all(urlsplit(link).scheme in ("http", "https") for link in links)
    _is_unharmed(page)


def test_every_hostile_reply_is_harmless(scripted_page):
    page = scripted_page
    page.driver.execute_async_script(
        """
        const done = arguments[1];
        const original = window.fetch;
        window.fetch = async () => new Response(
            JSON.stringify({ type: 'search_any', replies: arguments[0] }), { headers: { 'Content-Type': 'application/json' } });
        document.querySelector('mcp-chat').send({ type: 'search_any', model: 'a', query: 'b' })
            .finally(() => (window.fetch = original)).then(() => done());
        """,
        hostile.RESULTS,
    )
    links = page.links()
    assert [urlsplit(link).path for link in links] == ["/psm/project/1/", "/files/1/", "/path", "/psm/project/2/"]
    assert OVERRIDE not in page.answer()
    assert "elsewhere.example" in page.answer() and "opens in a new tab" in page.js("return last().textContent")
    _is_unharmed(page)


def test_hostile_markdown_becomes_text_and_safe_links(scripted_page):
    page = scripted_page
    page.ask("chat", message="hostile markdown")
    links = page.links()
    assert links and all(urlsplit(link).scheme in ("http", "https") for link in links)
    assert OVERRIDE not in page.answer()
    assert page.js("return last().querySelector('table td').textContent").startswith("<img src=x")
    assert page.js("return last().querySelector('pre').textContent").startswith("<img src=x")
    # A label that names another host does not hide where the link leads.
    assert "(evil.example)" in page.answer()
    assert page.js("return last().querySelector('sup a').getAttribute('href')").endswith("/ai/document/7/")
    assert page.js("return last().querySelector('.sources').innerText.trim()") == "Password Policy"
    _is_unharmed(page)


def test_hostile_questions_and_errors_are_text_as_well(scripted_page):
    page = scripted_page
    page.ask("chat", message="<img src=x onerror=window.pwned=1>")
    assert "<img src=x" in page.js("return last().querySelector('.ask').innerText")
    _is_unharmed(page)


def test_markdown_is_never_slow(scripted_page):
    page = scripted_page
    took = page.driver.execute_async_script(
        """
        const done = arguments[0];
        const version = performance.getEntriesByType('resource').find(({ name }) => name.includes('mcp-chat-markdown.js')).name;
        import(version).then(({ renderMarkdown }) => {
            const options = { base: location.href, texts: { get: (key) => key } };
            const pieces = ['[', '*', '_', '`', '~~', '![', '<http://', '/http://', '> ', '- ', '# ', '| ', '(/', '**a ', '[a](', '\\\\', '1. ', '  - a\\n', '[a]: b\\n', '# a\\n', '` `` ``` ', '**a _b `c [d ~~e '];
            const bad = pieces.map((piece) => piece.repeat(60000 / piece.length));
            const blanks = ' '.repeat(1500);
            for (const start of ['# ', '- ', '```', '[a]: ', '[a](', '| a |\\n', '> ', '* ']) {
                for (const end of ['x# # #x', '#x'.repeat(700), '`', '\\u2028x', '"x" y', ' (/a'.repeat(300)]) bad.push(start + blanks + 'x' + blanks + end);
            }
            const started = performance.now();
            for (const text of bad) renderMarkdown(text, options);
            done(performance.now() - started);
        });
        """
    )
    print(f"worst inputs: {took:.0f} ms")
    assert took < 6000


def test_the_policy_refuses_what_slips_through(page):
    """The policy is in force: an inline script that a test plants does not run."""
    page.driver.execute_script("const s = document.createElement('script'); try { s.text = 'window.pwned = 1'; document.body.append(s) } catch {}")
    assert page.driver.execute_script("return window.pwned") is None
    page.driver.execute_script("window.violations.length = 0")
    page.driver.get_log("browser")
