"""Secrets in what users write, which must not be printed, journaled or sent."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(?<=//)[^/?#]*@")


def without_login(text: str) -> str:
    """Return a text in which "***" stands for the login of each URL ("https://user:password@host")."""
    return _LOGIN.sub("***@", text)


def has_login(url: str) -> bool:
    """Return whether a URL has a login."""
    return bool(_LOGIN.search(url))
