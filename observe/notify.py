"""Routes by which somebody is told: their addresses, what Apprise makes of them, and how a message was taken.

Addresses carry keys: neither they nor anything that Apprise or the other side says is ever shown, only what is read
out of it here, such as a status.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import ssl
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell
from target.kinds import Secret, say_span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST = 64 * 1024
_MOST_ADDRESSES = 20
_MOST_OF_AN_ANSWER = 1024
_WORLD = 0o007
_KEY = re.compile(r"(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{16,}")
_NETWORK = (
    (r"NameResolution|Name or service not known|getaddrinfo|Temporary failure in name", "its name isn't known"),
    (r"Connection refused", "the connection is refused"),
    (r"certificate verify failed|CERTIFICATE_VERIFY_FAILED", "its certificate isn't trusted"),
    (r"SSLError|SSL:", "TLS fails"),
    (r"[Tt]imed? ?out", "it doesn't answer in time"),
    (r"unreachable|No route to host", "there is no way to it"),
    (r"reset by peer|aborted|RemoteDisconnected|Connection broken", "the connection breaks"),
    (r"[Cc]onnection error|Socket Exception|Connection failed", "no connection"),
)
"""What the clients' words come to. Their own words have addresses in them."""


@dataclass(frozen=True)
class Address:
    """One address of a route.

    Attributes:
        line: Its line in the file, from 1.
        url: The address, which carries a key.
    """

    line: int
    url: Secret

    def known_as(self, target: str) -> str:
        """A short name for just this address, as of a whole route; on whatever line it stands."""
        return _known_as(self.url.reveal(), target)


@dataclass(frozen=True)
class Route:
    """The alert route as it is set up.

    Attributes:
        where: Where it is set, in words.
        addresses: Its addresses.
        faults: What is wrong with how it is set up.
        single: Whether its one address is set by itself, without a file.
    """

    where: str
    addresses: tuple[Address, ...] = ()
    faults: tuple[str, ...] = ()
    single: bool = False

    def known_as(self, target: str) -> str:
        """A short name for just these addresses: slow to make, and so short that it fits many others.

        Args:
            target: The target's name.
        """
        return _known_as("\n".join(sorted(one.url.reveal() for one in self.addresses)), target)


def _known_as(text: str, target: str) -> str:
    return hashlib.scrypt(text.encode(), salt=target.encode(), n=2**14, r=8, p=1, dklen=3).hex()


@dataclass(frozen=True)
class Service:
    """What Apprise makes of an address.

    Attributes:
        name: What is shown of it: the service's name and the line.
        client: Apprise's client for it; None where it understands nothing of it.
        address: The address that it is of.
    """

    name: str
    client: Any = field(default=None, repr=False)
    address: Address | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Delivery:
    """How a message was taken.

    Attributes:
        name: The service's.
        accepted: Whether it was.
        said: How that is known, in words.
    """

    name: str
    accepted: bool
    said: str


def read_route(url: Secret | None, url_file: Path | None, section: str) -> Route:
    """Read the addresses of a route.

    Args:
        url: Its one address.
        url_file: The file with one address a line, where it isn't set by itself.
        section: The section of the settings that has them, such as `on_call`.

    Raises:
        CannotTell: If their file can't be read.
    """
    if url is not None:
        keys_are_secret(url.reveal())
        return Route(f"{section}.url", (Address(1, url),) if url.reveal().strip() else (), single=True)
    if url_file is None:
        return Route("no setting")
    text, mode = read_secret_file(url_file, "the alert route", f"{section}.url_file")
    addresses = []
    for number, line in enumerate(text.splitlines(), 1):
        if (address := line.strip()) and not address.startswith("#"):
            keys_are_secret(address)
            addresses.append(Address(number, Secret(address)))
    faults = []
    if fault := open_to_everybody(url_file, mode, "the route's keys"):
        faults.append(fault)
    if not addresses:
        faults.append(f"no alert route is configured: {url_file.name} has no address")
    if len(addresses) > _MOST_ADDRESSES:
        raise CannotTell(
            f"{url_file} has {len(addresses)} addresses, of which no more than {_MOST_ADDRESSES} are tried"
        )
    return Route(url_file.name, tuple(addresses), tuple(faults))


def open_to_everybody(file: Path, mode: int, has: str) -> str:
    """What is to be said of a file with keys that everybody may read; empty where it is for few."""
    return (
        f"{file.name} holds {has} and is open to everybody (mode {mode:o}): chmod 600 '{file}'" if mode & _WORLD else ""
    )


def read_secret_file(file: Path, has: str, setting: str) -> tuple[str, int]:
    """The text of a file with addresses, and its mode.

    Args:
        file: Which one.
        has: What it should have, in words.
        setting: The setting that names it.

    Raises:
        CannotTell: If it can't be read, or is no list of addresses.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST + 1)
        mode = file.stat().st_mode & 0o777
    except FileNotFoundError:
        mend = f"Write the address into it, readable by you alone; or name the right one as {setting}."
        raise CannotTell(f"there is no {file}, which should have {has}", mend=mend) from None
    except OSError as error:
        raise CannotTell(f"{file}, which should have {has}, can't be read: {error.strerror}") from None
    if len(content) > MOST:
        raise CannotTell(f"{file} is larger than {MOST:,} bytes: it is no list of addresses")
    try:
        return content.decode("utf-8-sig"), mode
    except UnicodeDecodeError:
        raise CannotTell(f"{file} is not UTF-8 text") from None


def keys_are_secret(url: str) -> None:
    """Have what looks like a key looked for in all that goes out, also where it stands without its address."""
    for word in _KEY.findall(url):
        Secret(word)


def understood(route: Route) -> tuple[Service, ...]:
    """What Apprise makes of each address; nothing is connected to.

    Raises:
        CannotTell: If Apprise isn't installed.
    """
    if not route.addresses:
        return ()
    apprise = _apprise()
    asset = apprise.AppriseAsset(
        app_id="Operations checks",
        app_desc="Operations checks",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        # A POST that is sent elsewhere arrives there as a GET, or as a login page.
        http_redirects=False,
    )
    services = []
    for address in route.addresses:
        place = "" if route.single else f" (line {address.line})"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what its plugins import
                client = apprise.Apprise.instantiate(address.url.reveal(), asset=asset)
        except Exception:  # noqa: BLE001  whatever it trips over, and its words may have the key in them
            client = None
        if client is None:
            name = f"the address of {route.where}{place}"
        else:
            name = f"{str(client.service_name or 'a service')[:40]}{place}"
            _as_a_new_alert(client, apprise)
        services.append(Service(name, client, address))
    return tuple(services)


def _as_a_new_alert(client: Any, apprise: Any) -> None:  # noqa: ANN401  untyped
    """Have services that keep alerts make a new one: of an event that is only informative they'd make a note to one.

    With none to note it at they send nothing, and call that success.
    """
    mapping = getattr(client, "mapping", None)
    if isinstance(mapping, dict) and mapping.get(apprise.NotifyType.INFO) == "note":
        client.mapping = {**mapping, apprise.NotifyType.INFO: "new"}


def send(
    service: Service, title: str, body: str, seconds: float, *, event: str = "info", what: str = "the test event"
) -> Delivery:
    """Send a message by Apprise's client.

    Args:
        service: To whom; one that Apprise understands.
        title: The title, plain text.
        body: The text below it, plain text too: a service that shows HTML or Markdown gets it escaped by Apprise.
        seconds: Total time limit, in seconds.
        event: What kind of event it is: `info`, `success`, `warning`, `failure`.
        what: What it is called where it is refused.
    """
    from apprise import NotifyFormat, NotifyType

    heard = _Heard(what)

    def work() -> bool:
        kind = NotifyType(event)
        with _heard_by(heard):
            return bool(service.client.notify(title=title, body=body, notify_type=kind, body_format=NotifyFormat.TEXT))

    late = False
    with _listening():
        try:
            sent = within(seconds, work)
        except TimeIsUp:
            sent, late = False, True
        except Exception:  # noqa: BLE001  whatever a plugin trips over, and its words may have the key in them
            sent = False
    if late:
        limit = say_span(timedelta(seconds=round(seconds, 1)))
        return Delivery(
            service.name, accepted=False, said=f"can't be reached over the network: no answer within {limit}"
        )
    return Delivery(service.name, accepted=sent and not heard.nothing_sent, said=heard.said(sent=sent))


def ask(
    name: str,
    method: str,
    url: str,
    seconds: float,
    *,
    headers: Mapping[str, str] | None = None,
    json: object = None,
    verify: bool = True,
    what: str = "the alert",
) -> tuple[Delivery, str]:
    """Ask an address that Apprise has no client for; nothing of it is shown or logged.

    Args:
        name: What is shown of it.
        method: `GET` or `POST`.
        url: The address, which may carry a key.
        seconds: Total time limit, in seconds.
        headers: Sent along.
        json: The body.
        verify: Whether its certificate must be trusted.
        what: What it is called where it is refused.

    Returns:
        How it was taken, and the first of what was answered.
    """
    heard = _Heard(what)

    def work() -> str:
        import httpx

        with (
            _heard_by(heard),
            httpx.Client(verify=verify and _trusted(), timeout=seconds, follow_redirects=False) as client,
            client.stream(method, url, headers=headers, json=json) as answer,
        ):
            heard.statuses.append(answer.status_code)
            return next(answer.iter_bytes(_MOST_OF_AN_ANSWER), b"").decode(errors="replace")

    answer = ""
    with _listening():
        try:
            answer = within(seconds, work)
        except TimeIsUp:
            heard.network = f"no answer within {say_span(timedelta(seconds=round(seconds, 1)))}"
        except Exception as error:  # noqa: BLE001  its words have the address in them
            heard.network = _trouble(f"{type(error).__name__} {error}") or "the connection breaks"
    taken = bool(heard.statuses) and 200 <= heard.statuses[-1] < 300
    return Delivery(name, accepted=taken, said=heard.said(sent=taken)), answer


def _trusted() -> ssl.SSLContext | bool:
    """Whom Apprise's clients trust as well: who has set that for them shouldn't have to set it twice."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if not bundle:
        return True
    if Path(bundle).is_dir():
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)


def _trouble(text: str) -> str:
    return next((said for pattern, said in _NETWORK if re.search(pattern, text)), "")


@dataclass
class _Heard:
    """What can be shown of the clients' log lines: statuses, and the kind of a trouble."""

    what: str
    statuses: list[int] = field(default_factory=list)
    network: str = ""
    nothing_sent: bool = False

    def take(self, record: logging.LogRecord) -> None:
        """Read a line."""
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001  a log line that can't be put together says nothing
            return
        if status := re.search(r'" (\d{3}) (?:\d+|None)$', text) or re.search(r"\berror=(\d{3})\b", text):
            self.statuses.append(int(status[1]))
        if re.match(r"No \w+ notification sent", text):
            self.nothing_sent = True
        trouble = _trouble(text)
        # The general words come first, the exact ones behind them.
        if trouble and self.network in {"", "no connection"}:
            self.network = trouble

    def said(self, *, sent: bool) -> str:
        """How the message was taken, in words."""
        status = self.statuses[-1] if self.statuses else 0
        named = f"{status} {_phrase(status)}".strip()
        if sent and self.nothing_sent:
            return "was sent nothing: Apprise had nothing to do for an event of this kind"
        if sent:
            return f"answered {named}" if status else "took it, by Apprise's word (it isn't spoken to by HTTP)"
        if status in {400, 401, 403, 404, 410, 422}:
            return f"refuses {self.what} with {named}: is its key right, and still in force?"
        if 300 <= status < 400:
            return f"answers with a redirect ({named}) and takes nothing: is its address right?"
        if status == 429:
            return f"takes nothing more for now ({named})"
        if status >= 400:
            return f"takes nothing: it answers {named}"
        if self.network:
            return f"can't be reached over the network: {self.network}"
        return f"couldn't be sent {self.what}; Apprise doesn't say why"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


_HEARD: dict[int, _Heard] = {}
"""Who hears what the clients log in a thread. One that was given up may log for long; nobody else is to hear that."""


@contextmanager
def _heard_by(heard: _Heard) -> Iterator[None]:
    """Have what is logged in this thread heard, for the length of a block: the next thread may have its number."""
    _HEARD[threading.get_ident()] = heard
    try:
        yield
    finally:
        del _HEARD[threading.get_ident()]


class _Ear(logging.Filter):
    """Stands before all handlers of a logger: its lines may carry keys, and are heard and dropped."""

    def __init__(self, *, everything: bool) -> None:
        super().__init__()
        self.everything = everything
        self.least = self.level = logging.NOTSET

    def filter(self, record: logging.LogRecord) -> bool:
        heard = _HEARD.get(record.thread or 0)
        if heard is not None:
            heard.take(record)
        return heard is None and not self.everything and (record.name != _HTTP[0] or record.levelno >= self.least)


_HTTP = (
    "urllib3.connectionpool",
    "httpx",
    *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
)
"""Loggers whose lines have addresses in them."""
_OF_APPRISE, _OF_HTTP = _Ear(everything=True), _Ear(everything=False)


def _apprise() -> Any:  # noqa: ANN401  untyped
    logger = logging.getLogger("apprise")
    logger.addFilter(_OF_APPRISE)
    logger.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it imports: nobody here can do anything about it
            import apprise
    except ImportError:
        raise CannotTell(
            "the alert route can't be understood: Apprise isn't installed",
            mend="pip install apprise, where this suite is installed.",
        ) from None
    return apprise


_LISTENERS = threading.Lock()
_listening_now = 0


@contextmanager
def _listening() -> Iterator[None]:
    """Have the HTTP clients tell each answer's status, for the length of a block; several may listen at once."""
    global _listening_now  # noqa: PLW0603  the loggers are the process's
    logger = logging.getLogger("urllib3.connectionpool")
    with _LISTENERS:
        _listening_now += 1
        if _listening_now == 1:
            for name in _HTTP:
                logging.getLogger(name).addFilter(_OF_HTTP)
            _OF_HTTP.level, _OF_HTTP.least = logger.level, logger.getEffectiveLevel()
            logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        with _LISTENERS:
            _listening_now -= 1
            if _listening_now == 0:
                logger.setLevel(_OF_HTTP.level)
