"""The alert route, sent to as it would be: by Apprise's own clients, to servers that answer as the services do."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_server
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from lab.certificates import issue, make_authority
from observe.errors import CannotTell
from observe.notify import Delivery, Route, Service, understood
from observe.on_call import OnCallState, read_route, send_test
from observe.rota import Rota, Turn
from proofs.harness import SuiteRun, run_suite
from proofs.observe.alert_services import OPSGENIE, OPSGENIE_KEY, PAGERDUTY, PAGERDUTY_KEY, in_its_own_network
from target.kinds import FilePath, Secret
from target.model import OnCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
TOKEN = "0123456789abcdef" * 2
KEY = "kEy7-that-nobody-must-see"
QUARTER = timedelta(days=92)


# A receiver on loopback, which gets JSON.


@pytest.fixture(scope="module")
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Answers with the status that its path begins with; its address, and what it was sent."""
    received: list[dict[str, Any]] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append({"path": self.path, **json.loads(body)})
            status = int(self.path.split("/")[1])
            said = f'{{"message": "no such key: {KEY}"}}'.encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/login")
            self.send_header("Content-Length", "0" if status == 204 else str(len(said)))
            self.end_headers()
            if status != 204:
                self.wfile.write(said)

        def do_GET(self) -> None:
            """A page to log in at, which welcomes everybody."""
            self.send_response(HTTPStatus.OK)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


def send(*urls: str, seconds: float = 5.0) -> tuple[Delivery, ...]:
    services = [one for url in urls for one in understood(read_route(OnCall(url=Secret(url))))]
    return send_test(services, target="prod", token=TOKEN, at=NOW, seconds=seconds)


def test_an_event_says_that_it_is_a_test(receiver: tuple[str, list[dict[str, Any]]]) -> None:
    address, received = receiver
    received.clear()
    (one,) = send(f"{address}/204/{KEY}")
    assert one == Delivery("JSON", accepted=True, said="answered 204 No Content")
    (event,) = received
    assert event["path"] == f"/204/{KEY}"
    assert event["title"] == "TEST of the alert route of prod: nothing is wrong"
    assert "test event" in event["message"]
    assert TOKEN in event["message"]
    assert "Target prod, 2026-11-24 10:00 UTC" in event["message"]
    assert event["type"] == "info"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "refuses the test event with 400 Bad Request"),
        (401, "refuses the test event with 401 Unauthorized"),
        (403, "refuses the test event with 403 Forbidden"),
        (410, "refuses the test event with 410 Gone"),
        (429, "takes nothing more for now (429 Too Many Requests)"),
        (503, "takes nothing: it answers 503 Service Unavailable"),
        (599, "takes nothing: it answers 599"),
        (302, "answers with a redirect (302 Found) and takes nothing"),
    ],
)
def test_a_refusal_says_how(receiver: tuple[str, list[dict[str, Any]]], status: int, said: str) -> None:
    (one,) = send(f"{receiver[0]}/{status}/{KEY}")
    assert not one.accepted
    assert said in one.said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("json://127.0.0.1:1/", "the connection is refused"),
        ("json://nowhere.invalid/", "its name isn't known"),
    ],
)
def test_what_cant_be_reached_is_said_to_be_the_network(url: str, said: str) -> None:
    (one,) = send(url + KEY)
    assert one == Delivery("JSON", accepted=False, said=f"can't be reached over the network: {said}")


def test_tls_with_a_server_that_speaks_none(receiver: tuple[str, list[dict[str, Any]]]) -> None:
    (one,) = send(f"{receiver[0].replace('json', 'jsons', 1)}/204/{KEY}")
    assert not one.accepted
    assert one.said == "can't be reached over the network: TLS fails"


def test_one_that_never_answers_costs_the_limit_for_all() -> None:
    with create_server(("127.0.0.1", 0)) as hole:
        url = f"json://127.0.0.1:{hole.getsockname()[1]}/{KEY}"
        began = monotonic()
        found = send(url, url, url, seconds=0.6)
        assert monotonic() - began < 1.5
    assert not any(one.accepted for one in found)
    assert found[0].said == "can't be reached over the network: no answer within 600 ms"


# Clients are noisy.
@pytest.mark.filterwarnings("ignore:Non-string passwords:DeprecationWarning")
def test_nothing_of_an_address_goes_anywhere(
    receiver: tuple[str, list[dict[str, Any]]], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    urls = [f"{receiver[0]}/{status}/{KEY}" for status in (204, 403)]
    urls += [f"json://{KEY}@127.0.0.1:1/", f"pagerduty://{KEY}", f"nothing://{KEY}", KEY, f"json://[{KEY}"]
    found = [repr(understood(read_route(OnCall(url=Secret(url))))) + repr(send(url)) for url in urls]
    written = "".join(found) + caplog.text + "".join(capfd.readouterr())
    assert KEY not in written
    assert KEY in Secret.known()


# The real services' doors, by Apprise's own clients.


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("doors")
    authority = make_authority("alerts", datetime.now(UTC))
    leaf = issue(authority, [PAGERDUTY, OPSGENIE], datetime.now(UTC) - timedelta(hours=1))
    (directory / "ca.pem").write_bytes(authority.root.pem)
    (directory / "fullchain.pem").write_bytes(leaf.pem + authority.intermediate.pem)
    (directory / "privkey.pem").write_bytes(leaf.key_pem)
    (directory / "hosts").write_text(f"127.0.0.1 localhost {PAGERDUTY} {OPSGENIE}\n")
    return directory


def send_from_inside(doors: Path, urls: Sequence[str], trusted: str = "ca.pem") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = in_its_own_network("proofs.observe.alert_services", doors, urls, trusted)
    return found


def test_pagerduty_and_opsgenie_take_an_event_and_refuse_a_wrong_key(doors: Path) -> None:
    revoked = "f" * 32
    pagerduty, no_pagerduty, opsgenie, no_opsgenie = send_from_inside(
        doors,
        [
            f"pagerduty://{PAGERDUTY_KEY}@Kp9xAPIkey",
            f"pagerduty://{revoked}@Kp9xAPIkey",
            f"opsgenie://{OPSGENIE_KEY}/",
            f"opsgenie://{OPSGENIE_KEY.replace('0a', '0b')}/",
        ],
    )
    assert pagerduty["deliveries"] == [{"name": "Pager Duty", "accepted": True, "said": "answered 202 Accepted"}]
    (event,) = pagerduty["received"]
    assert event["path"] == "/v2/enqueue"
    assert event["json"]["routing_key"] == PAGERDUTY_KEY
    assert event["json"]["event_action"] == "trigger"
    assert event["json"]["payload"]["severity"] == "info"
    assert event["json"]["payload"]["summary"].startswith("TEST of the alert route of prod: nothing is wrong")
    assert event["json"]["payload"]["source"]
    assert "images" not in event["json"]

    (refused,) = no_pagerduty["deliveries"]
    assert not refused["accepted"]
    assert refused["said"] == "refuses the test event with 400 Bad Request: is its key right, and still in force?"
    assert no_pagerduty["received"][0]["json"]["routing_key"] == revoked

    # Of an event that only informs Apprise would make a note to an alert, find none, and say that it went well.
    assert opsgenie["deliveries"] == [{"name": "Opsgenie", "accepted": True, "said": "answered 202 Accepted"}]
    (alert,) = opsgenie["received"]
    assert alert["path"] == "/v2/alerts"
    assert alert["json"]["message"] == "TEST of the alert route of prod: nothing is wrong"
    assert "test event" in alert["json"]["description"]
    (refused,) = no_opsgenie["deliveries"]
    assert not refused["accepted"]
    assert refused["said"].startswith("refuses the test event with 401 Unauthorized")


def test_a_certificate_that_isnt_trusted(doors: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(make_authority("others", datetime.now(UTC)).root.pem)
    (found,) = send_from_inside(doors, [f"pagerduty://{PAGERDUTY_KEY}@Kp9xAPIkey"], str(other))
    (one,) = found["deliveries"]
    assert one["said"] == "can't be reached over the network: its certificate isn't trusted"
    assert not found["received"]


def test_success_without_anything_sent_is_none() -> None:
    (service,) = understood(read_route(OnCall(url=Secret(f"opsgenie://{OPSGENIE_KEY}/?action=close"))))
    (one,) = send_test((service,), target="prod", token=TOKEN, at=NOW, seconds=5)
    assert not one.accepted
    assert one.said == "was sent nothing: Apprise had nothing to do for an event of this kind"


# How it is set up.


def file_with(tmp_path: Path, text: str, mode: int = 0o600) -> OnCall:
    file = tmp_path / "on-call.url"
    file.write_text(text)
    file.chmod(mode)
    return OnCall(url_file=FilePath(file))


def test_a_file_of_addresses(tmp_path: Path) -> None:
    route = read_route(file_with(tmp_path, f"# ours\n\njson://127.0.0.1:1/{KEY}\n  nothing://{KEY}  \n"))
    assert [one.line for one in route.addresses] == [3, 4]
    assert not route.faults
    assert KEY not in repr(route)
    first, second = understood(route)
    assert first.name == "JSON (line 3)"
    assert first.client is not None
    assert second == Service("the address of on-call.url (line 4)")


def test_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    (fault,) = read_route(file_with(tmp_path, f"json://127.0.0.1:1/{KEY}", 0o644)).faults
    assert "open to everybody (mode 644)" in fault
    assert not read_route(file_with(tmp_path, f"json://127.0.0.1:1/{KEY}", 0o640)).faults
    (fault,) = read_route(file_with(tmp_path, "# none\n")).faults
    assert fault == "no alert route is configured: on-call.url has no address"
    with pytest.raises(CannotTell, match=r"there is no .*away"):
        read_route(OnCall(url_file=FilePath(tmp_path / "away")))
    with pytest.raises(CannotTell, match="Is a directory"):
        read_route(OnCall(url_file=FilePath(tmp_path)))
    with pytest.raises(CannotTell, match="25 addresses"):
        read_route(file_with(tmp_path, "json://a/\n" * 25))
    with pytest.raises(CannotTell, match="larger than"):
        read_route(file_with(tmp_path, "x" * 70_000))


def test_a_route_is_known_again(tmp_path: Path) -> None:
    one = read_route(file_with(tmp_path, f"json://a/\njson://b/{KEY}\n"))
    same = read_route(file_with(tmp_path, f"json://b/{KEY}\n\njson://a/\n"))
    assert one.known_as("prod") == same.known_as("prod")
    assert len(one.known_as("prod")) == 6
    assert one.known_as("prod") != one.known_as("stage")
    assert one.known_as("prod") != read_route(file_with(tmp_path, f"json://a/\njson://b/{KEY}x\n")).known_as("prod")


def test_without_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(CannotTell, match="Apprise isn't installed") as why:
        understood(read_route(OnCall(url=Secret("json://a/"))))
    assert why.value.mend.startswith("pip install apprise")
    assert understood(read_route(OnCall())) == ()


# What it comes to.

ON_CALL = Rota("rota.toml", NOW, NOW + timedelta(days=7), (Turn("Anna", NOW, NOW + timedelta(days=8)),), 1)
NOBODY = Rota("rota.toml", NOW, NOW + timedelta(days=7), (), 1)


def state(tmp_path: Path, **changes: object) -> OnCallState:
    route = read_route(file_with(tmp_path, f"json://127.0.0.1:1/{KEY}"))
    given: dict[str, object] = {
        "route": route,
        "services": understood(route),
        "rota": ON_CALL,
        "rota_trouble": None,
        "deliveries": (),
        "accepted": NOW - timedelta(days=3),
        "limit": QUARTER,
        "now": NOW,
        "unsent": "it runs without --allow-disruption",
        "mend": "type this",
    }
    return OnCallState(**{**given, **changes})  # type: ignore[arg-type]


def test_an_event_taken_lately_is_enough(tmp_path: Path) -> None:
    seen = state(tmp_path)
    assert not seen.findings
    seen.must_be_known()
    assert seen.said == "a test event was taken 3 d ago, 2026-11-21 10:00; Anna is on call until 2026-12-02 10:00"
    assert seen.notes == ("no test event was sent in this run: it runs without --allow-disruption",)
    assert seen.looked_at == ("1 address of on-call.url; 1 entry of rota.toml, 2026-11-24 10:00 to 2026-12-01 10:00")
    state(tmp_path, accepted=NOW - QUARTER).must_be_known()


@pytest.mark.parametrize(
    ("accepted", "said"),
    [(None, "never, as far as is known"), (NOW - QUARTER - timedelta(seconds=1), "on 2026-08-24")],
)
def test_without_an_event_nobody_can_tell(tmp_path: Path, accepted: datetime | None, said: str) -> None:
    seen = state(tmp_path, accepted=accepted)
    assert not seen.findings
    with pytest.raises(CannotTell) as why:
        seen.must_be_known()
    assert said in str(why.value)
    assert why.value.mend == "type this"


def test_an_event_of_this_run(tmp_path: Path) -> None:
    taken = Delivery("JSON (line 1)", accepted=True, said="answered 204")
    seen = state(tmp_path, accepted=None, deliveries=(taken,), unsent="")
    assert seen.accepted_now
    seen.must_be_known()
    assert seen.rows() == [{"service": "JSON (line 1)", "test event": "answered 204"}]
    refused = Delivery("JSON (line 1)", accepted=False, said="refuses the test event")
    seen = state(tmp_path, deliveries=(refused,), unsent="")
    assert seen.findings == ("JSON (line 1) refuses the test event",)
    assert not seen.accepted_now


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    nothing = state(tmp_path, route=read_route(OnCall()), services=(), rota=None, accepted=None)
    assert nothing.findings == (
        "no alert route is configured (on_call.url_file, or on_call.url)",
        "no rota is configured (on_call.rota)",
    )
    assert nothing.looked_at == "0 addresses of no setting; no rota"
    assert "nobody is on call by rota.toml" in state(tmp_path, rota=NOBODY).said
    wrong = understood(read_route(OnCall(url=Secret("nothing://at-all"))))
    assert state(tmp_path, services=wrong).findings == (
        "the address of on_call.url is no address that Apprise understands",
    )


def test_half_a_route_is_none(tmp_path: Path) -> None:
    services = (*understood(read_route(OnCall(url=Secret("json://a/")))), Service("the address of it (line 2)"))
    taken = Delivery(services[0].name, accepted=True, said="answered 204")
    seen = state(tmp_path, services=services, deliveries=(taken,), unsent="")
    assert not seen.accepted_now
    assert len(seen.findings) == 1


def test_a_rota_that_cant_be_read_hides_nothing(tmp_path: Path) -> None:
    trouble = CannotTell("rota.toml:3: wrong")
    with pytest.raises(CannotTell, match=r"rota\.toml:3"):
        state(tmp_path, rota=None, rota_trouble=trouble).must_be_known()
    seen = state(tmp_path, rota=None, rota_trouble=trouble, route=Route("no setting"), services=())
    assert seen.findings == ("no alert route is configured (on_call.url_file, or on_call.url)",)


# When it is sent: in runs of the suite itself, which need nothing of a target but its alert route.


@pytest.fixture
def target(tmp_path: Path, receiver: tuple[str, list[dict[str, Any]]]) -> Path:
    """A target whose route takes everything, and whose tests may be sent."""
    receiver[1].clear()
    (tmp_path / "on-call.url").write_text(f"{receiver[0]}/202/{KEY}\n")
    (tmp_path / "on-call.url").chmod(0o600)
    (tmp_path / "rota.toml").write_text('[[rotation]]\npeople = ["Anna"]\nstarts = 2026-01-05\nevery = "7 d"\n')
    file = tmp_path / "target.toml"
    on_call = '[on_call]\nurl_file = "on-call.url"\nrota = "rota.toml"\nsend_test = true\n'
    file.write_text(f'name = "nearby"\ndisposable = true\n[project]\nname = "nearby"\ndirectory = "."\n{on_call}')
    return file


def look(target: Path, *arguments: str) -> SuiteRun:
    history = target.with_name("history.sqlite")
    return run_suite(target, "-k", "on_call", *arguments, marker="readiness", history=history)


def test_it_is_sent_where_the_settings_and_the_call_allow_it(
    target: Path, receiver: tuple[str, list[dict[str, Any]]]
) -> None:
    first = look(target)
    assert first.blind == {"on-call-route"}
    assert "pytest -m readiness -k on_call --allow-disruption=nearby" in " ".join(first.terminal.split())
    assert receiver[1] == []
    sent = look(target, "--allow-disruption=nearby")
    assert sent.having("holds") == {"on-call-route"}, sent.explain()
    assert len(receiver[1]) == 1
    # The next one knows, until the key is another.
    later = look(target)
    assert later.having("holds") == {"on-call-route"}, later.explain()
    assert "a test event was taken" in later.findings["on-call-route"].seen
    route = target.with_name("on-call.url")
    route.write_text(route.read_text().replace(KEY, f"{KEY}-2"))
    assert look(target).blind == {"on-call-route"}
    assert len(receiver[1]) == 1


def test_it_is_not_sent_where_the_settings_forbid_it(target: Path, receiver: tuple[str, list[dict[str, Any]]]) -> None:
    target.write_text(target.read_text().replace("send_test = true", "send_test = false"))
    run = look(target, "--allow-disruption=nearby")
    assert run.blind == {"on-call-route"}
    assert "Set on_call.send_test = true" in " ".join(run.terminal.split())
    assert receiver[1] == []


def test_a_report_of_a_refusal_has_no_key(target: Path) -> None:
    route = target.with_name("on-call.url")
    route.write_text(route.read_text().replace("/202/", "/403/"))
    run = look(target, "--allow-disruption=nearby")
    assert run.broken == {"on-call-route"}
    assert "403 Forbidden" in run.findings["on-call-route"].seen
    assert KEY not in run.terminal + run.html + run.xml
    assert "/403/" not in run.terminal + run.html + run.xml
