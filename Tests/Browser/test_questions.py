"""Questions of tools: the form and the page that a user is shown, and the answers."""

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser import ChatPage, eventually
from test_access import axe, picture

FOCUSED = (
    "let node = document.activeElement; while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;"
    "return node.name || node.textContent.trim();"
)


def ask(page, message):
    page.choose("chat")
    page.fill(message=message)
    page.submit()
    page.eventually("return !chat.isBusy && last()?.querySelector('.question:not(.answered)')")


def press(page, name):
    page.js("return [...all('.question:not(.answered) button')].find((b) => b.textContent === arguments[0])", name).click()


def answered(page):
    page.eventually("return !chat.isBusy && !find('.question:not(.answered)') && last().innerText.includes('It is done.')")


def field(page, name):
    return page.js("return find(`.question [name=${arguments[0]}]`)", name)


def test_a_form_is_filled_in_with_the_keyboard(asking_page, asking):
    page = asking_page
    before = len(asking.upstream.runs)
    ask(page, "seats")
    assert page.js("return find('[role=status]').textContent") == "A question: How many seats, and where?"
    # The question has the focus, and its name.
    assert page.driver.execute_script(FOCUSED) == "seats"
    in_sight = ("const a = find('.question [name=seats]').getBoundingClientRect(), l = find('.log').getBoundingClientRect();"
                "return a.top >= l.top && a.bottom <= l.bottom")
    assert page.js(in_sight)
    label = "const form = find('.question'); return find('#' + form.getAttribute('aria-labelledby')).textContent"
    assert page.js(label) == "How many seats, and where?"
    described = ("const input = find('.question [name=seats]');"
                 "return input.getAttribute('aria-describedby').split(' ').map((id) => find('#' + id).textContent).join('|')")
    assert page.js(described) == "|At most nine."
    assert axe(page.driver) == []
    picture(page, "question")
    keys = lambda *sequence: ActionChains(page.driver).send_keys(*sequence).perform()
    keys("3", Keys.TAB, "Back", Keys.TAB, Keys.SPACE, Keys.TAB, Keys.TAB)
    page.js("find('.question [name=day]').value = '2026-12-24'")
    field(page, "name").send_keys("Ada")
    field(page, "insured").click()
    field(page, "name").send_keys(Keys.ENTER)
    answered(page)
    values = {"seats": 3, "row": "b", "extras": ["coat"], "day": "2026-12-24", "name": "Ada", "insured": True}
    assert asking.upstream.runs[before:] == [[{"action": "accept", "content": values}]]
    assert "Accepted." in page.answer()
    # The focus is not lost with the form.
    assert page.driver.execute_script(FOCUSED) == "message"


def test_what_does_not_fit_is_said_beside_its_field(asking_page, asking):
    page = asking_page
    before = len(asking.upstream.runs)
    ask(page, "seats")
    beside = ("const input = find(`.question [name=${arguments[0]}]`); const id = input.getAttribute('aria-describedby').split(' ')[0];"
              "return [input.getAttribute('aria-invalid'), find('#' + id).textContent, find('#' + id).getAttribute('role')]")
    press(page, "Accept")
    # Nothing has been sent: the page knows what is missing.
    assert page.js(beside, "seats") == ["true", "Please fill in “Seats”.", "alert"]
    assert page.js(beside, "row") == ["true", "Please fill in “Row”.", "alert"]
    assert page.driver.execute_script(FOCUSED) == "seats"
    field(page, "seats").send_keys("12")
    field(page, "row").send_keys("Front")
    field(page, "name").send_keys("Ada")
    press(page, "Accept")
    # The gateway's words about a value that is too large.
    page.eventually("return find('.question [name=seats]').getAttribute('aria-invalid') === 'true'")
    state, text, _ = page.js(beside, "seats")
    assert "9" in text and not text.startswith("seats")
    assert page.driver.execute_script(FOCUSED) == "seats"
    assert asking.upstream.runs[before:] == []
    field(page, "seats").clear()
    field(page, "seats").send_keys("2")
    press(page, "Accept")
    answered(page)
    assert asking.upstream.runs[before:] == [
        [{"action": "accept", "content": {"seats": 2, "row": "f", "name": "Ada", "insured": False}}]]


@pytest.mark.parametrize(("button", "action"), [("Decline", "decline"), ("Cancel", "cancel")])
def test_a_question_is_declined_or_cancelled(asking_page, asking, button, action):
    page = asking_page
    before = len(asking.upstream.runs)
    ask(page, "seats")
    press(page, button)
    answered(page)
    assert asking.upstream.runs[before:] == [[{"action": action}]]


def test_a_page_is_a_link_that_says_where_it_leads(asking_page, asking):
    page = asking_page
    before = len(asking.upstream.runs)
    ask(page, "page")
    link = page.js("const a = find('.question a'); return [a.href, a.target, a.rel, find('.question .page').innerText]")
    assert link[:3] == ["https://pay.example/invoice/7", "_blank", "noopener noreferrer nofollow"]
    assert "pay.example" in link[3]
    assert page.js("return find('.question .message').textContent") == "Pay <b>here</b>."
    assert axe(page.driver) == []
    press(page, "I have done this")
    answered(page)
    assert asking.upstream.runs[before:] == [[{"action": "accept"}]]


def test_several_questions_come_one_after_the_other(asking_page, asking):
    page = asking_page
    before = len(asking.upstream.runs)
    ask(page, "two")
    field(page, "a").send_keys("x")
    press(page, "Accept")
    page.eventually("return find('.question:not(.answered) .message')?.textContent === 'Second?'")
    press(page, "Decline")
    answered(page)
    assert asking.upstream.runs[before:] == [[{"action": "accept", "content": {"a": "x"}}, {"action": "decline"}]]


def test_whole_answers_ask_as_streamed_ones_do(asking_page, asking):
    page = asking_page
    page.js("chat.setAttribute('stream', 'off')")
    before = len(asking.upstream.runs)
    ask(page, "two")
    press(page, "Cancel")
    page.eventually("return find('.question:not(.answered) .message')?.textContent === 'Second?'")
    press(page, "Cancel")
    answered(page)
    assert asking.upstream.runs[before:] == [[{"action": "cancel"}, {"action": "cancel"}]]


def test_a_question_that_is_used_says_so(asking_page, asking):
    page = asking_page
    ask(page, "page")
    # Another window of the same user was faster.
    page.js("window.asked = null; chat.addEventListener('mcp-chat-question', (e) => (window.asked = e.detail.question))")
    press(page, "Decline")
    answered(page)
    ask(page, "page")
    status = page.driver.execute_async_script(
        "const [done] = arguments; fetch('/api/chat/', { method: 'POST', body: JSON.stringify("
        "{ type: 'answer', id: window.asked.id, action: 'decline' }) }).then((r) => done(r.status))")
    assert status == 200
    press(page, "I have done this")
    page.eventually("return !chat.isBusy && last().querySelector('.error')")
    assert "This question is no longer open." in page.error()


def test_what_is_being_written_is_not_interrupted(asking_page):
    page = asking_page
    page.choose("chat")
    page.fill(message="seats")
    page.submit()
    page.js("find('.fields [name=message]').focus(); find('.fields [name=message]').value = 'the next one'")
    page.eventually("return find('.question:not(.answered)')")
    assert page.driver.execute_script(FOCUSED) == "message"
    page.js("chat.clear()")
    assert page.js("return find('.question')") is None


def test_an_old_page_asks_with_a_few_lines(driver, asking):
    page = ChatPage(driver, asking.url)
    page.reset()
    before = len(asking.upstream.runs)
    driver.get(asking.url + "/old/index.html")
    driver.execute_async_script("const [done] = arguments; customElements.whenDefined('mcp-chat').then(() => done())")
    section = driver.find_element(By.ID, "asking")
    section.find_element(By.CSS_SELECTOR, "input").send_keys("two" + Keys.ENTER)
    for text, button in (("First?", "Accept"), ("Second?", "Decline")):
        forms = lambda: section.find_elements(By.CSS_SELECTOR, ".question:not(.answered)")
        form = eventually(lambda: next((each for each in forms() if text in each.text), None), f"no question {text}")
        form.find_element(By.XPATH, f".//button[text()='{button}']").click()
    driver.execute_async_script(
        "const [done] = arguments; const look = () => document.querySelector('#asking ul').innerText.includes('It is done.')"
        " ? done() : setTimeout(look, 20); look();")
    assert asking.upstream.runs[before:] == [[{"action": "accept", "content": {}}, {"action": "decline"}]]
    assert page.violations() == []
