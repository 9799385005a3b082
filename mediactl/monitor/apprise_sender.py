"""Notifications by way of Apprise, whose URLs name about a hundred services. Any part of such a URL may be secret."""

from __future__ import annotations

import logging

from mediactl.monitor.notices import URGENT, Notice, Undelivered
from mediactl.monitor.targets import Target


def deliver(target: Target, notice: Notice) -> None:
    """Send a notice once. Raises Undelivered."""
    try:
        import apprise
    except ImportError:
        raise Undelivered("format apprise requires an extra: install mediactl[apprise]", again=False) from None
    log = logging.getLogger("apprise")
    log.addHandler(logging.NullHandler())  # it logs what servers answer
    log.propagate = False
    service = apprise.Apprise(asset=apprise.AppriseAsset(app_id="mediactl", async_mode=False))
    if not service.add(target.url):
        raise Undelivered("Apprise does not support this url", again=False)
    urgency = apprise.NotifyType.FAILURE if notice.occasion in URGENT else apprise.NotifyType.INFO
    if not service.notify(
        title=f"mediactl: {notice.occasion}",
        body=notice.text,
        notify_type=urgency,
        body_format=apprise.NotifyFormat.TEXT,
        interpret_escapes=False,
    ):
        raise Undelivered("was not accepted", again=True)
