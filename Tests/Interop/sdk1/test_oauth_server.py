"""The official SDK's OAuth client signs in at our authorization server, through the gateway."""
import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request

import pytest
from conftest import run
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata
from signing_in import CALLBACK, Browser, Chromium, Stack, Storage


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("oauth"))
    yield stack
    stack.stop()


def provider(stack, storage, browser):
    answers = []

    async def redirect(url):
        answers.append(await asyncio.to_thread(browser.allow, url))

    async def callback():
        return answers[-1]["code"][0], answers[-1]["state"][0]

    metadata = OAuthClientMetadata(client_name="Official SDK", redirect_uris=[CALLBACK])
    return OAuthClientProvider(stack.url, metadata, storage, redirect, callback)


async def call(stack, auth, tool, arguments):
    async with streamablehttp_client(stack.url, auth=auth) as (read, write, _):
        async with ClientSession(read, write) as session:
            await session.initialize()
            return await session.call_tool(tool, arguments)


@pytest.mark.parametrize("known", [False, True], ids=["registered", "configured"])
def test_signs_in_and_renews(stack, known):
    client = OAuthClientInformationFull(client_id="known", redirect_uris=[CALLBACK]) if known else None
    storage, browser = Storage(client), Browser(stack)

    async def main():
        auth = provider(stack, storage, browser)
        who = await call(stack, auth, "get_user_info", {})
        assert who.structuredContent["results"]["username"] == "alice"
        assert browser.titles[0] == "Sign in" and browser.titles[1].startswith("Allow ")
        found = await call(stack, auth, "search_projects", {"query": "urgent"})
        assert not found.isError
        # A fresh client, after a restart of the server, renews without the person.
        shown = len(browser.titles)
        old = storage.tokens
        await asyncio.to_thread(stack.restart)
        storage.tokens = old.model_copy(update={"access_token": "x.y.z"})
        renewing = provider(stack, storage, browser)
        await renewing._initialize()
        # What it has learnt of the server; this client would otherwise guess another endpoint.
        renewing.context.oauth_metadata = auth.context.oauth_metadata
        renewing.context.protected_resource_metadata = auth.context.protected_resource_metadata
        renewing.context.token_expiry_time = 1
        who = await call(stack, renewing, "get_user_info", {})
        assert who.structuredContent["results"]["username"] == "alice"
        assert len(browser.titles) == shown
        assert storage.tokens.refresh_token != old.refresh_token

    asyncio.run(main())


@pytest.mark.parametrize("known", [False, True], ids=["registered", "configured"])
def test_a_person_clicks_through_in_chromium(stack, known):
    client = OAuthClientInformationFull(client_id="known", redirect_uris=[CALLBACK]) if known else None
    browser = Chromium(stack)
    try:
        who = asyncio.run(call(stack, provider(stack, Storage(client), browser), "get_user_info", {}))
    finally:
        browser.close()
    assert who.structuredContent["results"]["username"] == "alice"
    assert browser.titles == ["Sign in", "Allow Known?" if known else "Allow Official SDK?"]


def test_another_replica_renews_and_verifies(stack):
    storage, browser = Storage(), Browser(stack)
    asyncio.run(call(stack, provider(stack, storage, browser), "get_user_info", {}))
    replica = stack.start()
    try:
        address = f"http://{replica.addresses['main']}"
        refreshed = urllib.parse.urlencode({
            "grant_type": "refresh_token", "refresh_token": storage.tokens.refresh_token,
            "client_id": storage.client.client_id}).encode()
        with urllib.request.urlopen(f"{address}/oauth/token", refreshed) as response:
            renewed = json.load(response)
        for token in (storage.tokens.access_token, renewed["access_token"]):
            for server in (address, stack.origin):
                request = urllib.request.Request(
                    f"{server}/mcp/get_user_info", b"{}", {"Authorization": f"Bearer {token}"})
                with urllib.request.urlopen(request) as response:
                    assert json.load(response)["results"]["username"] == "alice"
        # The first replica knows that the old refresh token was used.
        with pytest.raises(urllib.error.HTTPError) as reused:
            urllib.request.urlopen(f"{stack.origin}/oauth/token", refreshed)
        assert json.load(reused.value)["error"] == "invalid_grant"
    finally:
        assert replica.stop() == 0


def test_steps_up(stack):
    storage, browser = Storage(), Browser(stack)

    async def main():
        auth = provider(stack, storage, browser)
        await call(stack, auth, "get_user_info", {})
        # A token with less than the tool needs: the challenge leads through a second consent.
        refreshed = urllib.parse.urlencode({
            "grant_type": "refresh_token", "refresh_token": storage.tokens.refresh_token,
            "client_id": storage.client.client_id, "scope": "records:read"}).encode()
        with urllib.request.urlopen(f"{stack.origin}/oauth/token", refreshed) as response:
            narrow = json.load(response)
        storage.tokens = storage.tokens.model_copy(update={
            "access_token": narrow["access_token"], "refresh_token": narrow["refresh_token"],
            "scope": "records:read"})
        shown = len(browser.titles)
        again = provider(stack, storage, browser)
        answer = await call(stack, again, "chat", {"message": "hello"})
        assert not answer.isError
        assert len(browser.titles) > shown

    asyncio.run(main())


def test_grants_are_listed_and_revoked(stack):
    storage, browser = Storage(), Browser(stack)

    async def main():
        await call(stack, provider(stack, storage, browser), "get_user_info", {})

    asyncio.run(main())
    listed = run("tool-server", "grant", "list", "--config", str(stack.path)).splitlines()
    mine = [line.split("\t") for line in listed if line.split("\t")[2] == storage.client.client_id]
    assert len(mine) == 1 and mine[0][1] == "alice"
    page, _ = browser.open(f"{stack.origin}/oauth/grants")
    assert "Official SDK" in page
    run("tool-server", "grant", "revoke", mine[0][0], "--config", str(stack.path))
    fields = urllib.parse.urlencode({
        "grant_type": "refresh_token", "refresh_token": storage.tokens.refresh_token,
        "client_id": storage.client.client_id}).encode()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{stack.origin}/oauth/token", fields)
    assert refused.value.code == 400 and json.load(refused.value)["error"] == "invalid_grant"
