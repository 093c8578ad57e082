"""A FastMCP server with the old API's tools on its database: contract_server.py PORT DATABASE CALLS [stateless] [json].

CALLS is a file to which every tool call is written as a line of JSON. Sessions are read by Django itself.
"""
import json
import sqlite3
import sys

import django
from django.conf import settings

PORT, DATABASE, CALLS, *MODES = sys.argv[1:]
settings.configure(SECRET_KEY="bench-only-key-bench-only-key-bench-only-key-0123456789", USE_TZ=True,
                   INSTALLED_APPS=[])
django.setup()

from django.core import signing  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.utils.crypto import constant_time_compare, salted_hmac  # noqa: E402
from fastmcp import FastMCP  # noqa: E402
from fastmcp.server.dependencies import get_http_request  # noqa: E402

server = FastMCP("contract")
MODELS = {
    "projects": ("psm_project", ["name", "description"], "/psm/project/{}/"),
    "tasks": ("psm_task", ["title", "notes"], "/psm/task/{}/"),
    "customers": ("psm_customer", ["company", "contact"], "/psm/customer/{}/"),
    "documents": ("ai_document", ["title", "body"], "/ai/document/{}/"),
}


def rows(statement, *arguments):
    connection = sqlite3.connect(DATABASE)
    try:
        with connection:
            return connection.execute(statement, arguments).fetchall()
    finally:
        connection.close()


def caller():
    """The user of the request's session: id, name and alias; None for nobody."""
    key = get_http_request().cookies.get("sessionid", "")
    found = rows("SELECT session_data FROM django_session WHERE session_key = ? AND expire_date > ?", key,
                 str(timezone.now().replace(tzinfo=None)))
    if not found:
        return None
    try:
        session = signing.loads(found[0][0], salt="django.contrib.sessions.SessionStore")
    except signing.BadSignature:
        return None
    user = rows("SELECT id, username, alias, password FROM ai_user WHERE id = ? AND is_active",
                session.get("_auth_user_id"))
    if not user:
        return None
    expected = salted_hmac("django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash", user[0][3],
                           algorithm="sha256").hexdigest()
    return user[0][:3] if constant_time_compare(session.get("_auth_user_hash", ""), expected) else None


def called(command, **arguments):
    with open(CALLS, "a") as file:
        file.write(json.dumps({"command": command, "arguments": arguments}) + "\n")


def found(model, query, columns):
    table, _, url = MODELS[model]
    selected = rows(f"SELECT id, {', '.join(columns)} FROM {table} ORDER BY id")
    matching = [row for row in selected if any(query.lower() in (value or "").lower() for value in row[1:])]
    return [{"name": row[1], "url": url.format(row[0])} for row in matching[:5]]


def answer(prompt):
    if prompt == "!fail":
        return {"error": "AI error: model unavailable"}
    text = f"Echo: {prompt}"
    if user := caller():
        rows("INSERT INTO ai_chatmessage (user_id, message, response, created_at) VALUES (?, ?, ?, ?)", user[0],
             prompt, text, str(timezone.now().replace(tzinfo=None)))
    return {"results": text}


@server.tool(annotations={"readOnlyHint": True})
def search_projects(query: str) -> dict:
    called("search_projects", query=query)
    return {"results": [hit["name"] for hit in found("projects", query, ["name"])]}


@server.tool(annotations={"readOnlyHint": True})
def search_any(model: str, query: str) -> dict:
    called("search_any", model=model, query=query)
    if model not in MODELS:
        return {"error": "Unknown model"}
    return {"results": found(model, query, MODELS[model][1])}


@server.tool(annotations={"readOnlyHint": True})
def get_user_info() -> dict:
    called("get_user_info")
    user = caller()
    return {"results": {"username": user[1], "alias": user[2]}} if user else {"error": "Not authenticated"}


@server.tool
def ai_prompt(prompt: str) -> dict:
    called("ai_prompt", prompt=prompt)
    return answer(prompt)


@server.tool
def chat(message: str) -> dict:
    called("chat", message=message)
    return answer(message)


@server.tool(annotations={"readOnlyHint": True})
def chat_history() -> dict:
    user = caller()
    if not user:
        return {"error": "Not authenticated"}
    stored = rows("SELECT message, response, created_at FROM ai_chatmessage WHERE user_id = ? ORDER BY id DESC LIMIT 50",
                  user[0])
    return {"results": [{"message": row[0], "response": row[1], "at": row[2].replace(" ", "T") + "Z"}
                        for row in stored]}


if __name__ == "__main__":
    server.run(transport="http", host="127.0.0.1", port=int(PORT), stateless_http="stateless" in MODES,
               json_response="json" in MODES, show_banner=False)
