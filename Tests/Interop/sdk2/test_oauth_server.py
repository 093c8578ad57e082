"""The official SDK 2.x signs in at our authorization server, through the gateway, in both eras."""
import asyncio
import json
import os
import pathlib
import subprocess
import sys
import urllib.parse
import urllib.request

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata
from signing_in import CALLBACK, Browser, Chromium, Stack, Storage


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("oauth"))
    yield stack
    stack.stop()


def provider(stack, storage, browser, document=None):
    answers = []

    async def redirect(url):
        answers.append(await asyncio.to_thread(browser.allow, url))

    async def callback():
        # This client compares iss with the issuer that it asked (RFC 9207).
        return AuthorizationCodeResult(**{name: answers[-1][name][0] for name in ("code", "state", "iss")})

    metadata = OAuthClientMetadata(client_name="Official SDK", redirect_uris=[CALLBACK])
    return OAuthClientProvider(stack.url, metadata, storage, redirect, callback, client_metadata_url=document)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize("known", [False, True], ids=["registered", "configured"])
def test_signs_in(stack, known, mode):
    client = OAuthClientInformationFull(client_id="known", redirect_uris=[CALLBACK]) if known else None
    storage, browser = Storage(client), Browser(stack)

    async def main():
        async with httpx2.AsyncClient(auth=provider(stack, storage, browser)) as http:
            async with Client(streamable_http_client(stack.url, http_client=http), mode=mode) as session:
                who = await session.call_tool("get_user_info", {})
                assert who.structured_content["results"]["username"] == "alice"
                found = await session.call_tool("search_projects", {"query": "urgent"})
                assert "Urgent Q2" in found.structured_content["results"]

    asyncio.run(main())
    assert browser.titles[0] == "Sign in" and browser.titles[1].startswith("Allow ")
    assert urllib.parse.urlsplit(stack.url).path == "/mcp"


@pytest.mark.parametrize("known", [False, True], ids=["registered", "configured"])
def test_a_person_clicks_through_in_chromium(stack, known):
    client = OAuthClientInformationFull(client_id="known", redirect_uris=[CALLBACK]) if known else None
    browser = Chromium(stack)

    async def main():
        async with httpx2.AsyncClient(auth=provider(stack, Storage(client), browser)) as http:
            async with Client(streamable_http_client(stack.url, http_client=http)) as session:
                return await session.call_tool("get_user_info", {})

    try:
        who = asyncio.run(main())
    finally:
        browser.close()
    assert who.structured_content["results"]["username"] == "alice"
    assert browser.titles == ["Sign in", "Allow Known?" if known else "Allow Official SDK?"]


def test_steps_up(stack):
    """A token with less than the tool needs: the challenge leads through a second consent."""
    storage, browser = Storage(), Browser(stack)

    async def call(tool, arguments):
        async with httpx2.AsyncClient(auth=provider(stack, storage, browser)) as http:
            async with Client(streamable_http_client(stack.url, http_client=http)) as session:
                return await session.call_tool(tool, arguments)

    asyncio.run(call("get_user_info", {}))
    refreshed = urllib.parse.urlencode({
        "grant_type": "refresh_token", "refresh_token": storage.tokens.refresh_token,
        "client_id": storage.client.client_id, "scope": "records:read"}).encode()
    with urllib.request.urlopen(f"{stack.origin}/oauth/token", refreshed) as response:
        narrow = json.load(response)
    storage.tokens = storage.tokens.model_copy(update={
        "access_token": narrow["access_token"], "refresh_token": narrow["refresh_token"], "scope": "records:read"})
    shown = len(browser.titles)
    assert not asyncio.run(call("chat", {"message": "hello"})).is_error
    assert len(browser.titles) > shown


@pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces, which needs root")
def test_signs_in_by_its_metadata_document():
    script = pathlib.Path(__file__).with_name("document_client.py")
    done = subprocess.run(["unshare", "--net", "--mount", "--propagation", "private", sys.executable, str(script)],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout == "signed in\n", done.stderr
