"""Sessions that a Django LTS site itself made, read by the tool-server."""
import json
import zlib
from datetime import timedelta

import django
import pytest
from conftest import ROOT, Process, post
from django.conf import settings

SECRET, OLD_SECRET = "the-key-of-today-0123456789-0123456789-0123456789", "the-key-of-yesterday-0123456789-0123456789"

settings.configure(
    SECRET_KEY=SECRET, USE_TZ=True, ALLOWED_HOSTS=["testserver"], AUTH_USER_MODEL="django_site.Member",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django_site"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "", "OPTIONS": {"timeout": 20}}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"])
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.core import signing  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.utils import timezone  # noqa: E402
from django_site.models import Message  # noqa: E402


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site's database, made by its migrations."""
    path = tmp_path_factory.mktemp("site") / "site.sqlite3"
    connections["default"].settings_dict["NAME"] = str(path)
    call_command("migrate", run_syncdb=True, verbosity=0)
    yield path
    connections.close_all()


@pytest.fixture(scope="module")
def configuration(site):
    document = json.loads((ROOT / "gateway.json").read_text())
    document["toolServer"] = {
        "database": str(site), "stateDatabase": ":memory:", "identity": ["django", "builtin"],
        "django": {"users": {"table": "django_site_member", "id": "member_id", "username": "login",
                             "alias": "nickname"}},
        "messages": {"table": "django_site_message", "user": "author_id", "message": "question",
                     "response": "answer"},
    }
    path = site.parent / "gateway.json"
    path.write_text(json.dumps(document))
    return path


def start(configuration, **environment):
    return Process("tool-server", "--config", str(configuration), "--transport", "http", "--port", "0", "--admin",
                   "127.0.0.1:0", environment=environment).wait("main", "admin")


@pytest.fixture(scope="module")
def server(configuration):
    process = start(configuration, DJANGO_SECRET_KEY=SECRET)
    yield process
    assert process.stop() == 0
    log = "".join(process.lines)
    assert SECRET not in log and OLD_SECRET not in log


@pytest.fixture
def member(site):
    """A user with a fresh name; the password is the name."""
    name = f"member{get_user_model().objects.count()}"
    return get_user_model().objects.create_user(name, password=name, nickname=f"Nick of {name}")


def log_in(user, **data):
    """Logs in as the site's login does; gives back the client, whose cookie is what a browser would have."""
    client = Client()
    assert client.login(username=user.username, password=user.username)
    if data:
        session = client.session
        session.update(data)
        session.save()
    return client


def cookie(client):
    return client.cookies["sessionid"].value


def who(server, value):
    status, body = post(f"http://{server.addresses['main']}/mcp/get_user_info", {},
                        {"Cookie": f"csrftoken=x; sessionid={value}"})
    return body["results"] if status == 200 else body["error"]


NOBODY = "Not authenticated"


def test_a_session_of_the_site_is_its_user(server, member):
    expected = {"username": member.username, "alias": member.nickname}
    assert who(server, cookie(log_in(member))) == expected
    # Large sessions are compressed.
    client = log_in(member, basket="many of the same " * 500)
    assert Session.objects.get(pk=cookie(client)).session_data.startswith(".")
    assert who(server, cookie(client)) == expected
    # Django leaves small ones as they are.
    data = signing.dumps(dict(client.session.items()), salt="django.contrib.sessions.SessionStore")
    Session.objects.filter(pk=cookie(client)).update(session_data=data)
    assert not data.startswith(".")
    assert who(server, cookie(client)) == expected


def test_logging_out_and_expiry_end_a_session(server, member):
    client = log_in(member)
    client.logout()
    assert who(server, cookie(log_in(member))) != NOBODY
    gone = cookie(log_in(member))
    Session.objects.filter(pk=gone).delete()
    assert who(server, gone) == NOBODY
    expired = cookie(log_in(member))
    Session.objects.filter(pk=expired).update(expire_date=timezone.now() - timedelta(seconds=1))
    assert who(server, expired) == NOBODY
    Session.objects.filter(pk=expired).update(expire_date=timezone.now().replace(microsecond=0) + timedelta(minutes=1))
    assert who(server, expired) != NOBODY


def test_an_anonymous_session_is_nobody(server, site):
    session = SessionStore()
    session["basket"] = [1, 2, 3]
    session.save()
    assert who(server, session.session_key) == NOBODY


def test_a_changed_password_ends_the_sessions(server, member):
    client = log_in(member)
    assert who(server, cookie(client)) != NOBODY
    member.set_password("another password")
    member.save()
    assert who(server, cookie(client)) == NOBODY
    # What `update_session_auth_hash` does for the session that changed it.
    session = client.session
    session["_auth_user_hash"] = member.get_session_auth_hash()
    session.save()
    assert who(server, cookie(client)) != NOBODY


def test_an_inactive_or_deleted_user_is_nobody(server, member):
    value = cookie(log_in(member))
    member.is_active = False
    member.save()
    assert who(server, value) == NOBODY
    member.is_active = True
    member.save()
    assert who(server, value) != NOBODY
    member.delete()
    assert who(server, value) == NOBODY


def test_keys_are_rotated(server, member, configuration):
    with override_settings(SECRET_KEY=OLD_SECRET):
        value = cookie(log_in(member))
    assert who(server, value) == NOBODY
    rotated = start(configuration, DJANGO_SECRET_KEY=SECRET, DJANGO_SECRET_KEY_FALLBACKS=f"{OLD_SECRET}\n")
    try:
        assert who(rotated, value) != NOBODY
        assert who(rotated, cookie(log_in(member))) != NOBODY
    finally:
        assert rotated.stop() == 0
    assert OLD_SECRET not in "".join(rotated.lines)


def test_the_key_may_come_from_a_file(member, configuration, tmp_path):
    key = tmp_path / "key"
    key.write_text(SECRET + "\n")
    process = start(configuration, DJANGO_SECRET_KEY_FILE=str(key))
    try:
        assert who(process, cookie(log_in(member))) != NOBODY
    finally:
        assert process.stop() == 0


def test_a_tampered_payload_is_nobody(server, member, site):
    other = get_user_model().objects.create_user(member.username + "-victim", password="x")
    client = log_in(member)
    value = cookie(client)
    row = Session.objects.get(pk=value)
    genuine = row.session_data

    def put(data):
        Session.objects.filter(pk=value).update(session_data=data)
        return who(server, value)

    forged = dict(client.session.items(), _auth_user_id=str(other.pk))
    salt = "django.contrib.sessions.SessionStore"
    # Another user under the old signature.
    payload = signing.dumps(forged, salt=salt).split(":")[0]
    assert put(":".join([payload, *genuine.split(":")[1:]])) == NOBODY
    # Signed with another key, and with another salt.
    assert put(signing.dumps(forged, key="guess", salt=salt)) == NOBODY
    assert put(signing.dumps(dict(client.session.items()), salt="another")) == NOBODY
    # Genuinely signed, but the hash is of another user's password.
    assert put(signing.dumps(forged, salt=salt)) == NOBODY
    # Cut, empty, not signed at all, and a bomb that only the site itself could have signed.
    assert put(genuine[:-1]) == NOBODY
    assert put("") == NOBODY
    assert put(json.dumps(dict(client.session.items()))) == NOBODY
    bomb = "." + signing.b64_encode(zlib.compress(b'{"a":"' + b"a" * 50_000_000 + b'"}', 9)).decode()
    assert put(signing.TimestampSigner(salt=salt).sign(bomb)) == NOBODY
    assert put(genuine) != NOBODY


def test_messages_are_the_sites_own(server, member):
    value = cookie(log_in(member))
    before = timezone.now()
    status, _ = post(f"http://{server.addresses['main']}/mcp/chat", {"message": "Straße 🚀"},
                     {"Cookie": f"sessionid={value}"})
    assert status == 200
    stored = Message.objects.get(author=member)
    assert stored.question == "Straße 🚀" and stored.answer
    assert before - timedelta(seconds=1) <= stored.created_at <= timezone.now() + timedelta(seconds=1)
    status, body = post(f"http://{server.addresses['main']}/mcp/chat_history", {}, {"Cookie": f"sessionid={value}"})
    assert [entry["message"] for entry in body["results"]] == ["Straße 🚀"]
    # What the site writes is read as well.
    Message.objects.create(author=member, question="from the site", answer="a", created_at=timezone.now())
    status, body = post(f"http://{server.addresses['main']}/mcp/chat_history", {}, {"Cookie": f"sessionid={value}"})
    assert [entry["message"] for entry in body["results"]] == ["from the site", "Straße 🚀"]
