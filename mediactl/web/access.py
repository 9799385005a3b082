"""Who may use the dashboard: a one-time token becomes a cookie, and only this origin sends requests.

Other users of the machine and pages of other sites can reach a port of 127.0.0.1, too. So each request has to name this
server as its host (against DNS rebinding), has the cookie that a link of the terminal has set, and, if it changes
anything, comes from a page of this server.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hmac import compare_digest
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTRY = "/enter"
"""Path of links that hold a token."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from anywhere else, and nothing inline: a name that became markup could still do nothing."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with "no-referrer", forms are sent with "Origin: null"
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
"""Of every response that does not set its own."""
FOREIGN = ("cross-site", "same-site")
"""Values of Sec-Fetch-Site of other origins; other ports of this host are of the same site."""
_ENTERED = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">
<title>mediactl</title><p><a href="/">Continue to the dashboard</a></p></html>"""
"""No redirect: a browser would not send a Strict cookie after one that another site's link began."""


class Tokens:
    """One token at a time, which is valid once, and the sessions that tokens have begun."""

    def __init__(self, announce: Callable[[str], None]) -> None:
        """``announce`` is called with the next token when one was used."""
        self._announce = announce
        self._sessions: list[str] = []
        self.token = secrets.token_urlsafe(32)

    def enter(self, token: str) -> str | None:
        """Return the value of a new session's cookie; None: the token is not valid, or was used."""
        if not compare_digest(token.encode(), self.token.encode()):
            return None
        self.token = secrets.token_urlsafe(32)
        session = secrets.token_urlsafe(32)
        self._sessions.append(session)
        self._announce(self.token)
        return session

    def admits(self, session: str) -> bool:
        """Return whether a cookie's value is that of a session."""
        return any(compare_digest(session.encode(), each.encode()) for each in self._sessions)


class Guard:
    """Middleware that answers what is not admitted, and adds the headers that every response has."""

    def __init__(self, app: ASGIApp, port: int, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens
        self._hosts = hosts(port)
        self._cookie = f"mediactl-{port}"  # cookies of one host are sent to all of its ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._refusal(scope) or self._app
        await answer(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self._hosts:
            return PlainTextResponse("This server does not answer under that name.\n", 421)
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("Method not allowed.\n", 405, {"allow": "GET, HEAD, POST"})
        if scope["path"] == ENTRY:
            return self._entered(scope)
        if not self._is_from_here(scope["method"], host, headers):
            return PlainTextResponse("Only pages of this server may do that.\n", 403)
        if not self._tokens.admits(self._session(headers)):
            return PlainTextResponse("Open the link that `mediactl web` has printed.\n", 403)
        return None

    def _is_from_here(self, method: str, host: str, headers: Headers) -> bool:
        """Return whether no page of another origin has sent a request; one that navigates here may."""
        foreign = headers.get("sec-fetch-site") in FOREIGN
        if method == "POST":
            return headers.get("origin") == f"http://{host}" and not foreign
        return not foreign or headers.get("sec-fetch-mode") == "navigate"

    def _session(self, headers: Headers) -> str:
        for part in headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie:
                return value
        return ""

    def _entered(self, scope: Scope) -> Response:
        values = parse_qs(scope["query_string"].decode("ascii", "replace"))
        session = self._tokens.enter(values.get("token", [""])[0]) if scope["method"] == "GET" else None
        if session is None:
            return PlainTextResponse("This link was used, or is not valid; `mediactl web` prints a new one.\n", 403)
        response = HTMLResponse(_ENTERED)
        response.set_cookie(self._cookie, session, httponly=True, samesite="strict", path="/")
        return response


def hosts(port: int) -> frozenset[str]:
    """Return the values of Host that name this server."""
    names = ("127.0.0.1", "localhost")
    return frozenset([*(f"{name}:{port}" for name in names), *(names if port == 80 else ())])
