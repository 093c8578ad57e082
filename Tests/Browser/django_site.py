"""A Django site with accounts and a login page, as companies have one: `python django_site.py DATABASE PORT` serves it."""

import subprocess
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

SECRET = "the-key-of-the-site-0123456789-0123456789-0123456789"
PAGE = """<!doctype html><title>The site's login</title>
<form method="post">{% csrf_token %}{{ form.as_p }}<input type="hidden" name="next" value="{{ next }}">
<button>Log in</button></form>"""


class DjangoSite:
    """The site in a process of its own, with the user `mary`."""

    secret = SECRET

    def __init__(self, directory):
        self.database = directory / "site.sqlite3"
        self._process = subprocess.Popen([sys.executable, __file__, self.database], stdout=subprocess.PIPE, text=True)
        self.address = self._process.stdout.readline().strip()
        assert self.address, "the Django site did not start"

    def stop(self):
        self._process.terminate()
        self._process.wait()


def serve(database):
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY=SECRET, USE_TZ=True, ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                    "django.middleware.csrf.CsrfViewMiddleware",
                    "django.contrib.auth.middleware.AuthenticationMiddleware"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database, "OPTIONS": {"timeout": 20}}},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {
            "loaders": [("django.template.loaders.locmem.Loader", {"registration/login.html": PAGE})]}}],
    )
    django.setup()
    from django.contrib.auth import get_user_model, views
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command
    from django.urls import path

    sys.modules[__name__].urlpatterns = [path("accounts/login/", views.LoginView.as_view())]
    call_command("migrate", verbosity=0)
    get_user_model().objects.create_user("mary", password="a password of the site")

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    server = make_server("127.0.0.1", 0, WSGIHandler(), handler_class=Quiet)
    print(f"127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1])
