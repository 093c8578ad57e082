"""A person with a browser without script, as tests of several folders need one to sign in."""
import html
import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request


class Browser:
    """A person with a browser, without script: follows our pages' forms and stops at the client's callback."""

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    def __init__(self, stack):
        # What has `origin` and `password`.
        self.stack = stack
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), self.NoRedirect())
        self.titles = []

    def open(self, url, fields=None):
        """Follows redirects on our own origin; gives back the page, or where it leads away from here."""
        data = urllib.parse.urlencode(fields).encode() if fields else None
        headers = {"Origin": self.stack.origin} if data else {}
        try:
            with self.opener.open(urllib.request.Request(url, data, headers)) as response:
                page = response.read().decode()
                self.titles.append(html.unescape(re.search(r"<title>(.*?)</title>", page)[1]))
                return page, None
        except urllib.error.HTTPError as error:
            assert error.code == 303, (error.code, error.read())
            target = urllib.parse.urljoin(url, error.headers["Location"])
            if target.startswith(self.stack.origin + "/oauth/"):
                return self.open(target)
            return None, target

    def status(self, url):
        """The status and the page of one request."""
        try:
            with self.opener.open(url) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def hidden(self, page, name):
        return html.unescape(re.search(f'name="{name}" value="([^"]*)"', page)[1])

    def allow(self, url):
        page, _ = self.open(url)
        if 'action="/oauth/login"' in page:
            page, _ = self.open(f"{self.stack.origin}/oauth/login", {
                "continue": self.hidden(page, "continue"), "username": "alice", "password": self.stack.password})
        _, target = self.open(f"{self.stack.origin}/oauth/consent", {
            "request": self.hidden(page, "request"), "decision": "allow"})
        return urllib.parse.parse_qs(urllib.parse.urlsplit(target).query)
