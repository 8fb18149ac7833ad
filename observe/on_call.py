"""The way by which somebody is told: is it set up, does it take an event, and is there somebody to be told?

Serves the guide's escalation and its monitoring tools (PagerDuty, Opsgenie and their like). The route is spoken to by
Apprise, as whatever sends the alerts would. Its addresses carry keys: neither they nor anything that Apprise or the
other side says is ever shown, only what is read out of it here, such as a status.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from observe.deadline import TimeIsUp, within
from observe.errors import CannotTell
from target.kinds import Secret, say_span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from observe.rota import Rota
    from target.model import OnCall

MOST = 64 * 1024
_MOST_ADDRESSES = 20
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


@dataclass(frozen=True)
class Route:
    """The alert route as it is set up.

    Attributes:
        where: Where it is set, in words.
        addresses: Its addresses.
        faults: What is wrong with how it is set up.
    """

    where: str
    addresses: tuple[Address, ...] = ()
    faults: tuple[str, ...] = ()

    def known_as(self, target: str) -> str:
        """A short name for just these addresses: slow to make, and so short that it fits many others.

        Args:
            target: The target's name.
        """
        text = "\n".join(sorted(one.url.reveal() for one in self.addresses))
        return hashlib.scrypt(text.encode(), salt=target.encode(), n=2**14, r=8, p=1, dklen=3).hex()


@dataclass(frozen=True)
class Service:
    """What Apprise makes of an address.

    Attributes:
        name: What is shown of it: the service's name and the line.
        client: Apprise's client for it; None where it understands nothing of it.
    """

    name: str
    client: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class Delivery:
    """How a test event was taken.

    Attributes:
        name: The service's.
        accepted: Whether it was.
        said: How that is known, in words.
    """

    name: str
    accepted: bool
    said: str


@dataclass(frozen=True)
class OnCallState:
    """The route, the rota, and what is known of a test event.

    Attributes:
        route: The route as it is set up.
        services: What Apprise makes of its addresses.
        rota: Who is on call; None where it isn't known.
        rota_trouble: Why that isn't known; None where no rota is set up, too.
        deliveries: How the test event of this run was taken; empty where none was sent.
        accepted: When the same route last took a test event in an earlier run; None where it never did.
        limit: How lately it must have.
        now: The time, aware, in the host's zone.
        unsent: Why none was sent in this run, in words.
        mend: What is to be typed so that one is.
    """

    route: Route
    services: tuple[Service, ...]
    rota: Rota | None
    rota_trouble: CannotTell | None
    deliveries: tuple[Delivery, ...]
    accepted: datetime | None
    limit: timedelta
    now: datetime
    unsent: str
    mend: str

    @property
    def accepted_now(self) -> bool:
        """Whether the whole route took a test event of this run."""
        whole = len(self.services) == len(self.deliveries)
        return bool(self.deliveries) and whole and all(one.accepted for one in self.deliveries)

    @property
    def findings(self) -> tuple[str, ...]:
        """What is broken, in the order in which it is to be mended."""
        found = list(self.route.faults)
        if not self.route.addresses and not found:
            found.append("no alert route is configured (on_call.url_file, or on_call.url)")
        found += [f"{one.name} is no address that Apprise understands" for one in self.services if one.client is None]
        found += [f"{one.name} {one.said}" for one in self.deliveries if not one.accepted]
        if self.rota is None and self.rota_trouble is None:
            found.append("no rota is configured (on_call.rota)")
        if self.rota is not None and not self.rota.on_call:
            found.append(self.rota.said)
        return tuple(found)

    @property
    def looked_at(self) -> str:
        """The denominator: how many addresses of what, and how much of the rota."""
        number = len(self.route.addresses)
        addresses = f"{'1 address' if number == 1 else f'{number} addresses'} of {self.route.where}"
        return f"{addresses}; {self.rota.looked_at if self.rota else 'no rota'}"

    @property
    def said(self) -> str:
        """What is broken, or how things stand."""
        if self.findings:
            return "; ".join(self.findings)
        rota = self.rota.said if self.rota else "who is on call isn't known"
        if self.accepted_now:
            return f"a test event was taken: {', '.join(f'{one.name} {one.said}' for one in self.deliveries)}; {rota}"
        if self.accepted is None:
            return f"no test event is known to have been taken; {rota}"
        return f"a test event was taken {self._ago} ago, {self.accepted:%Y-%m-%d %H:%M}; {rota}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know besides."""
        unsent = () if self.deliveries or not self.unsent else (f"no test event was sent in this run: {self.unsent}",)
        return (*unsent, *(self.rota.notes if self.rota else ()))

    def rows(self) -> list[dict[str, str]]:
        """The route's services, for the report."""
        taken = {one.name: one.said for one in self.deliveries}
        return [
            {
                "service": one.name,
                "test event": taken.get(one.name, "not sent") if one.client is not None else "not understood",
            }
            for one in self.services
        ]

    def must_be_known(self) -> None:
        """Insist that the rota could be read, and that a test event was taken lately enough.

        Raises:
            CannotTell: If not.
        """
        if self.rota_trouble is not None:
            raise self.rota_trouble
        if self.accepted_now or (self.accepted is not None and self.now - self.accepted <= self.limit):
            return
        last = f"last {self._ago} ago, on {self.accepted:%Y-%m-%d}" if self.accepted else "never, as far as is known"
        raise CannotTell(
            f"the alert route has taken no test event within {say_span(self.limit)} ({last}); "
            f"none was sent in this run: {self.unsent}",
            mend=self.mend,
        )

    @property
    def _ago(self) -> str:
        assert self.accepted is not None
        return say_span(timedelta(seconds=round((self.now - self.accepted).total_seconds())))


def read_route(settings: OnCall) -> Route:
    """Read the addresses of the route.

    Raises:
        CannotTell: If their file can't be read.
    """
    if settings.url is not None:
        _keys_are_secret(settings.url.reveal())
        return Route("on_call.url", (Address(1, settings.url),) if settings.url.reveal().strip() else ())
    if settings.url_file is None:
        return Route("no setting")
    file = settings.url_file
    text, mode = _read(file)
    addresses = []
    for number, line in enumerate(text.splitlines(), 1):
        if (url := line.strip()) and not url.startswith("#"):
            _keys_are_secret(url)
            addresses.append(Address(number, Secret(url)))
    faults = []
    if mode & _WORLD:
        faults.append(
            f"{file.name} holds the route's keys and is open to everybody (mode {mode:o}): chmod 600 '{file}'"
        )
    if not addresses:
        faults.append(f"no alert route is configured: {file.name} has no address")
    if len(addresses) > _MOST_ADDRESSES:
        raise CannotTell(f"{file} has {len(addresses)} addresses, of which no more than {_MOST_ADDRESSES} are tried")
    return Route(file.name, tuple(addresses), tuple(faults))


def _read(file: Path) -> tuple[str, int]:
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST + 1)
        mode = file.stat().st_mode & 0o777
    except FileNotFoundError:
        mend = "Write the route's address into it, readable by you alone; or name the right one as on_call.url_file."
        raise CannotTell(f"there is no {file}, which should have the alert route", mend=mend) from None
    except OSError as error:
        raise CannotTell(f"{file}, which should have the alert route, can't be read: {error.strerror}") from None
    if len(content) > MOST:
        raise CannotTell(f"{file} is larger than {MOST:,} bytes: it is no list of addresses")
    try:
        return content.decode("utf-8-sig"), mode
    except UnicodeDecodeError:
        raise CannotTell(f"{file} is not UTF-8 text") from None


def _keys_are_secret(url: str) -> None:
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
        place = "" if route.where == "on_call.url" else f" (line {address.line})"
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
        services.append(Service(name, client))
    return tuple(services)


def _as_a_new_alert(client: Any, apprise: Any) -> None:  # noqa: ANN401  untyped
    """Have services that keep alerts make a new one: of an event that is only informative they'd make a note to one.

    With none to note it at they send nothing, and call that success.
    """
    mapping = getattr(client, "mapping", None)
    if isinstance(mapping, dict) and mapping.get(apprise.NotifyType.INFO) == "note":
        client.mapping = {**mapping, apprise.NotifyType.INFO: "new"}


def send_test(
    services: Sequence[Service], *, target: str, token: str, at: datetime, seconds: float
) -> tuple[Delivery, ...]:
    """Send a test event to every service, marked as one in its title and in its text.

    Args:
        services: To whom; those that Apprise doesn't understand are left out.
        target: The target's name.
        token: The run's.
        at: The time, aware.
        seconds: Total time limit for all of them, in seconds.
    """
    title = f"TEST of the alert route of {target}: nothing is wrong"
    body = (
        f"This is a test event of the operations checks, sent on purpose; nobody has to do anything. "
        f"Target {target}, {at:%Y-%m-%d %H:%M %Z}, run {token}."
    )
    ends = time.monotonic() + seconds
    found = []
    for service in services:
        if service.client is not None:
            left = max(ends - time.monotonic(), 0.01)
            found.append(_send(service, title, body, left))
    return tuple(found)


def _send(service: Service, title: str, body: str, seconds: float) -> Delivery:
    from apprise import NotifyType

    heard = _Heard()

    def send() -> bool:
        _HEARD[threading.get_ident()] = heard
        return bool(service.client.notify(title=title, body=body, notify_type=NotifyType.INFO))

    late = False
    with _listening():
        try:
            sent = within(seconds, send)
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


@dataclass
class _Heard:
    """What can be shown of the clients' log lines: statuses, and the kind of a trouble."""

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
        trouble = next((said for pattern, said in _NETWORK if re.search(pattern, text)), "")
        # The general words come first, the exact ones behind them.
        if trouble and self.network in {"", "no connection"}:
            self.network = trouble

    def said(self, *, sent: bool) -> str:
        """How the event was taken, in words."""
        status = self.statuses[-1] if self.statuses else 0
        named = f"{status} {_phrase(status)}".strip()
        if sent and self.nothing_sent:
            return "was sent nothing: Apprise had nothing to do for an event of this kind"
        if sent:
            return f"answered {named}" if status else "took it, by Apprise's word (it isn't spoken to by HTTP)"
        if status in {400, 401, 403, 404, 410, 422}:
            return f"refuses the test event with {named}: is its key right, and still in force?"
        if 300 <= status < 400:
            return f"answers with a redirect ({named}) and takes nothing: is its address right?"
        if status == 429:
            return f"takes nothing more for now ({named})"
        if status >= 400:
            return f"takes nothing: it answers {named}"
        if self.network:
            return f"can't be reached over the network: {self.network}"
        return "couldn't be sent the test event; Apprise doesn't say why"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


_HEARD: dict[int, _Heard] = {}
"""Who hears what the clients log in a thread. One that was given up may log for long; nobody else is to hear that."""


class _Ear(logging.Filter):
    """Stands before all handlers of a logger: its lines may carry keys, and are heard and dropped."""

    def __init__(self, *, everything: bool) -> None:
        super().__init__()
        self.everything = everything
        self.least = logging.NOTSET

    def filter(self, record: logging.LogRecord) -> bool:
        heard = _HEARD.get(record.thread or 0)
        if heard is not None:
            heard.take(record)
        return heard is None and not self.everything and record.levelno >= self.least


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


@contextmanager
def _listening() -> Iterator[None]:
    """Have the HTTP client tell each answer's status, for the length of a block."""
    logger = logging.getLogger("urllib3.connectionpool")
    logger.addFilter(_OF_HTTP)
    level, _OF_HTTP.least = logger.level, logger.getEffectiveLevel()
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(level)
