"""The dead-man ping: an address that hears when a run begins and ends, and raises the alarm when it hears nothing.

It is for the one thing that no run can tell: that it didn't happen. So the ping at the end says that the run went to
its end and looked at something, whatever that came to, which is what alerts are for; `/fail` says that it did not, or
that nobody could be told. The addresses are those of healthchecks.io, and of what is made like it.
"""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from observe.deadline import begun
from observe.errors import CannotTell
from observe.notify import Delivery, ask, keys_are_secret, open_to_everybody, read_secret_file
from target.kinds import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from target.model import Alerts

SLUG = "heartbeat"
NAME = "the heartbeat's address"
_TRIES = 2
_PAUSE = 0.2
"""Seconds between the two."""


class Heartbeat:
    """One run's pings.

    Args:
        url: The address, which carries a key.
        seconds: Total time limit of each ping, its second try included, in seconds.
        agent: The user agent.
    """

    def __init__(self, url: Secret, seconds: float, agent: str) -> None:
        self._url = url
        self._seconds = seconds
        self._agent = agent
        self._start: Callable[[], Delivery] | None = None

    def start(self) -> None:
        """Say that the run begins; nobody waits for the answer before the run's end."""
        self._start = begun(lambda: self._ping("/start"))

    def end(self, *, well: bool) -> tuple[Delivery | None, Delivery]:
        """Say that the run has ended.

        Args:
            well: Whether it went to its end, and somebody could be told what it came to.

        Returns:
            How the ping at the beginning was taken, None where there was none; and how this one was.
        """
        first = self._start() if self._start is not None else None
        return first, self._ping("" if well else "/fail")

    def _ping(self, path: str) -> Delivery:
        ends = time.monotonic() + self._seconds
        delivery = Delivery(NAME, accepted=False, said="was not asked")
        for attempt in range(_TRIES):
            left = ends - time.monotonic()
            if left <= 0:
                break
            if attempt:
                time.sleep(min(_PAUSE, left / 2))
            # The second try has to have a share of the time as well.
            share = left / (_TRIES - attempt)
            url, headers = with_path(self._url.reveal(), path), {"User-Agent": self._agent}
            delivery, answer = ask(NAME, "GET", url, share, headers=headers, what="the ping")
            # Of a key that it doesn't know the service says so, and answers 200 all the same.
            if delivery.accepted and "not found" in answer[:100].lower():
                return Delivery(NAME, accepted=False, said="answers that it doesn't know this key: is it right?")
            if delivery.accepted:
                break
        return delivery


def with_path(url: str, path: str) -> str:
    """An address with something behind its path, and before its query."""
    parts = urlsplit(url)
    return urlunsplit(
        (parts.scheme, parts.netloc, parts.path.rstrip("/") + path if path else parts.path, parts.query, "")
    )


def read_heartbeat(settings: Alerts) -> tuple[Secret | None, str]:
    """The heartbeat's address, and what is to be said of the file that it stands in.

    Returns:
        The address, None where none is set; and a sentence, empty where there is nothing to be said.

    Raises:
        CannotTell: If it can't be read, or can't be used.
    """
    said, where = "", "alerts.heartbeat"
    if settings.heartbeat is not None:
        text = settings.heartbeat.reveal().strip()
    elif settings.heartbeat_file is not None:
        where = settings.heartbeat_file.name
        whole, mode = read_secret_file(settings.heartbeat_file, NAME, "alerts.heartbeat_file")
        said = open_to_everybody(settings.heartbeat_file, mode, "the heartbeat's key")
        found = [line.strip() for line in whole.splitlines() if line.strip() and not line.strip().startswith("#")]
        if len(found) != 1:
            raise CannotTell(f"{where} has {len(found)} addresses for the heartbeat", mend="Write one into it.")
        text = found[0]
    else:
        return None, ""
    keys_are_secret(text)
    if trouble := _unusable(text):
        raise CannotTell(
            f"the heartbeat's address in {where} {trouble}", mend="Give it as `https://hc-ping.com/…`, with its key."
        )
    return Secret(text), said


def _unusable(url: str) -> str:
    """What is wrong with an address, without a word of it; empty where nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        return "is no address of the web"
    if parts.scheme == "http" and not _loopback(host):
        return "isn't https: its key would be readable on the way"
    return ""


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
