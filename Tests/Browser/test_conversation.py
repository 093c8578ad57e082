"""Streaming, stopping, logging in, and what happens when the network or a server does not play along."""

import time

import pytest


def test_tokens_appear_while_the_answer_is_written(page):
    page.choose("chat")
    page.fill(message="take it slowly please")
    page.submit()
    first = page.eventually("return last()?.querySelector('.answer').innerText.match(/Echo: take/) && chat.isBusy && last().innerText.length")
    page.eventually("return last().innerText.length > arguments[0] && chat.isBusy", first)
    assert page.js("return find('[role=status]').textContent") == "Waiting for the answer …"
    page.js("chat.stop()")
    page.idle()


def test_the_tools_that_the_model_called_are_named(page):
    page.choose("chat")
    page.fill(message="answer with tools")
    page.submit()
    page.idle()
    assert "Echo: " in page.answer()
    meta = page.js("return last().querySelector('.meta').innerText")
    assert "Tool: search_any" in meta and "Tool: echo" in meta


def test_stop_keeps_what_was_written_and_ends_the_call(page, provider):
    aborted = provider.aborted
    page.choose("chat")
    page.fill(message="now slowly and to be stopped")
    page.submit()
    page.eventually("return last()?.querySelector('.answer').innerText.includes('stopped')")
    page.js("return find('button[type=button]:not([hidden]):nth-last-of-type(2)')")
    page.js("return all('button').find((button) => button.textContent === 'Stop')").click()
    page.idle(within=1)
    assert "Stopped." in page.answer() and "Echo: now" in page.answer()
    assert page.js("return chat.shadowRoot.activeElement.name") == "message"
    end = time.monotonic() + 30
    while provider.aborted == aborted:
        assert time.monotonic() < end, "the provider was never left"
        time.sleep(0.02)


def test_login_shows_the_name_and_the_history_and_logout_hides_them(page, stack):
    page.log_in("alice", stack.upstream.passwords["alice"])
    page.eventually("return !document.querySelector('#who').hidden")
    assert "Al" in page.driver.find_element("id", "who").text
    page.ask("chat", message="remember this")
    page.ask("get_user_info")
    assert "alice" in page.answer()
    page.open()
    page.eventually("return find('.earlier')?.innerText.includes('remember this')")
    page.eventually("return !document.querySelector('#who').hidden")
    page.driver.find_element("id", "logout").click()
    page.eventually("return document.querySelector('#who').hidden")
    assert page.js("return find('.earlier')") is None
    page.ask("get_user_info")
    assert "Please log in first." in page.error()


def test_a_wrong_password_is_said_with_the_request_id(page):
    page.log_in("alice", "wrong")
    problem = page.eventually("return document.querySelector('#login-error').textContent")
    assert problem.startswith("Wrong user name or password. Request id: ")


def test_a_restart_of_the_tool_server_does_not_end_the_conversation(page, stack):
    page.log_in("alice", stack.upstream.passwords["alice"])
    page.eventually("return !document.querySelector('#who').hidden")
    page.ask("chat", message="before")
    stack.upstream.stop()
    page.ask("search_any", model="projects", query="urgent")
    assert "cannot be reached" in page.error() and "Request id" in page.error()
    stack.upstream.start()
    page.js("return all('button').find((button) => button.textContent === 'Try again')").click()
    page.eventually("return !chat.isBusy && last().innerText.includes('Urgent Q2')")
    page.ask("get_user_info")
    assert "alice" in page.answer()


def test_offline_is_said_and_the_message_can_be_sent_again(page):
    page.offline(True)
    page.ask("chat", message="into the void")
    assert "You are offline. The message was not sent." in page.error()
    page.offline(False)
    page.js("return all('button').find((button) => button.textContent === 'Try again')").click()
    page.eventually("return !chat.isBusy && last().innerText.includes('Echo: into the void')")


def test_too_many_requests_say_when_to_come_back(scripted_page):
    page = scripted_page
    page.js("chat.setAttribute('stream', 'off')")
    page.ask("chat", message="too many")
    assert "Too many requests at once. Please try again in 7 s." in page.error()
    request_id = page.js("return last().querySelector('.id code').textContent")
    assert len(request_id) == 32
    assert request_id in page.js("return find('[role=alert]').textContent + find('.id').textContent")


def test_progress_is_shown(scripted_page):
    page = scripted_page
    page.choose("chat")
    page.fill(message="progress")
    page.submit()
    page.eventually("return last()?.querySelector('progress')?.value >= 2 && last().innerText.includes('of 4')")
    page.idle()
    assert "All four steps are done." in page.answer()
    assert page.js("return last().querySelector('progress')") is None


def test_a_broken_stream_is_an_error_that_keeps_what_came(scripted_page):
    page = scripted_page
    page.ask("chat", message="break")
    assert "The answer begins" in page.answer()
    assert "Request id" in page.error()


@pytest.mark.parametrize("message", ["huge", "huge stream"])
def test_five_megabytes_are_shown_in_steps(scripted_page, message):
    page = scripted_page
    page.ask("chat", message=message)
    shown = page.js("return last().innerText.length")
    assert 50_000 < shown < 100_000
    page.js("return all('button').find((button) => button.textContent.startsWith('Show more'))").click()
    assert page.js("return last().innerText.length") > shown
    page.js("return all('button').find((button) => button.textContent === 'Save all as a file')").click()
    # The page still answers.
    page.ask("chat", message="hello")
    assert "Hello." in page.answer()


def test_many_answers_are_told_to_those_who_listen(scripted_page):
    page = scripted_page
    page.ask("search_any", model="projects", query="many")
    assert page.js("return find('[role=status]').textContent") == "5 results"
    page.ask("search_any", model="projects", query="nothing")
    assert page.js("return find('[role=status]').textContent") == "Nothing was found."
