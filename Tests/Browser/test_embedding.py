"""The component in a page of somebody else's, and the old page's two functions."""

from browser import ChatPage


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
