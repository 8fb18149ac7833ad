"""The dead-man ping, to a server on loopback; and what a call with --alert is refused for."""

from __future__ import annotations

import logging
from socket import create_server
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from observe.errors import CannotTell
from proofs.harness import run_suite
from proofs.report.receivers import Receiver, receiver
from report.heartbeat import Heartbeat, read_heartbeat, with_path
from target.kinds import FilePath, Secret
from target.model import Alerts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "kEy8-that-nobody-must-see"


@pytest.fixture
def door() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


def heartbeat(door: Receiver, path: str = f"/{KEY}", seconds: float = 5) -> Heartbeat:
    return Heartbeat(Secret(f"http://127.0.0.1:{door.port}{path}"), seconds, "the suite")


def test_a_run_is_heard_at_its_beginning_and_at_its_end(door: Receiver) -> None:
    beat = heartbeat(door)
    beat.start()
    first, last = beat.end(well=True)
    assert first is not None
    assert first.accepted
    assert last.accepted
    assert door.got == [(f"/{KEY}/start", "the suite"), (f"/{KEY}", "the suite")]


def test_a_run_that_did_not_go_to_its_end_says_so(door: Receiver) -> None:
    _, last = heartbeat(door).end(well=False)
    assert last.accepted
    assert [path for path, _ in door.got] == [f"/{KEY}/fail"]


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://hc.example/abc", "https://hc.example/abc/start"),
        ("https://hc.example/abc/", "https://hc.example/abc/start"),
        ("https://hc.example/abc?create=1&a=%2F", "https://hc.example/abc/start?create=1&a=%2F"),
        ("https://hc.example/a/b%20c#part", "https://hc.example/a/b%20c/start"),
        ("https://hc.example", "https://hc.example/start"),
    ],
)
def test_the_path_stands_before_the_query(url: str, asked: str) -> None:
    assert with_path(url, "/start") == asked
    assert with_path("https://hc.example/abc/?x=1", "") == "https://hc.example/abc/?x=1"


def test_one_more_try_and_no_other(door: Receiver) -> None:
    door.refusals = 1
    _, last = heartbeat(door).end(well=True)
    assert last.accepted
    assert len(door.got) == 2
    door.got.clear()
    door.refusals = 5
    _, last = heartbeat(door).end(well=True)
    assert not last.accepted
    assert last.said == "takes nothing: it answers 503 Service Unavailable"
    assert len(door.got) == 2


def test_a_key_that_is_not_known_is_not_taken(door: Receiver) -> None:
    door.said = b"OK (not found)"
    _, last = heartbeat(door).end(well=True)
    assert not last.accepted
    assert "doesn't know this key" in last.said


def test_one_that_never_answers_costs_the_limit() -> None:
    with create_server(("127.0.0.1", 0)) as hole:
        began = monotonic()
        _, last = Heartbeat(Secret(f"http://127.0.0.1:{hole.getsockname()[1]}/{KEY}"), 0.6, "it").end(well=True)
        assert monotonic() - began < 5
    assert last.said.startswith("can't be reached over the network: no answer within ")


def test_nothing_of_the_address_goes_anywhere(
    door: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said = [repr(heartbeat(door).end(well=True))]
    door.status = 404
    said.append(repr(heartbeat(door).end(well=True)))
    said.append(repr(Heartbeat(Secret(f"http://127.0.0.1:1/{KEY}"), 1, "it").end(well=True)))
    for url in (f"http://hc.example/{KEY}", f"ftp://{KEY}", KEY, f"https://[{KEY}", f"https://h.example:{KEY}/"):
        with pytest.raises(CannotTell) as why:
            read_heartbeat(Alerts(heartbeat=Secret(url)))
        said.append(f"{why.value} {why.value.mend}")
    written = "".join(said) + caplog.text + "".join(capfd.readouterr())
    assert KEY not in written
    assert "404 Not Found" in written
    assert "the connection is refused" in written
    assert "isn't https" in written


def test_how_it_is_set_up(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat.url"
    file.write_text(f"# ours\n\nhttps://hc.example/{KEY}\n")
    file.chmod(0o600)
    url, said = read_heartbeat(Alerts(heartbeat_file=FilePath(file)))
    assert url is not None
    assert url.reveal() == f"https://hc.example/{KEY}"
    assert said == ""
    assert KEY in Secret.known()
    file.chmod(0o644)
    assert "open to everybody (mode 644)" in read_heartbeat(Alerts(heartbeat_file=FilePath(file)))[1]
    file.write_text("https://a.example/\nhttps://b.example/\n")
    with pytest.raises(CannotTell, match="has 2 addresses for the heartbeat"):
        read_heartbeat(Alerts(heartbeat_file=FilePath(file)))
    with pytest.raises(CannotTell, match=r"there is no .*away"):
        read_heartbeat(Alerts(heartbeat_file=FilePath(tmp_path / "away")))
    assert read_heartbeat(Alerts()) == (None, "")


# In runs of the suite itself, which need nothing of a target.


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "rota.toml").write_text('[[rotation]]\npeople = ["Anna"]\nstarts = 2026-01-05\nevery = "7 d"\n')
    file = tmp_path / "target.toml"
    on_call = '[on_call]\nrota = "rota.toml"\n'
    file.write_text(f'name = "nearby"\n[project]\nname = "nearby"\ndirectory = "."\n{on_call}')
    return file


@pytest.mark.parametrize(
    ("argument", "said"),
    [("--now=2026-11-23T09:00", "--alert tells what is so now"), ("--no-history", "nothing is known of that")],
)
def test_a_call_that_could_not_know_what_changed_is_refused(
    target: Path, door: Receiver, argument: str, said: str
) -> None:
    run = run_suite(
        target,
        *("-k", "on_call", "--alert", argument),
        marker="readiness",
        environment={"OPS_ALERTS__HEARTBEAT": f"http://127.0.0.1:{door.port}/{KEY}"},
    )
    assert run.status == 4
    assert said in " ".join(run.terminal.split())
    assert door.got == []


def test_a_heartbeat_that_cannot_be_reached_is_something_the_run_cannot_tell(target: Path, door: Receiver) -> None:
    run = run_suite(
        target,
        *("-k", "runbook or on_call", "--alert"),
        marker="readiness",
        environment={
            "OPS_ALERTS__HEARTBEAT": f"http://127.0.0.1:1/{KEY}",
            "OPS_ALERTS__URL": f"json://127.0.0.1:{door.port}/{KEY}",
        },
    )
    assert run.status == 1
    assert "CAN'T TELL heartbeat (critical): the heartbeat's address can't be reached" in " ".join(run.terminal.split())
    assert "heartbeat" in run.html
    assert KEY not in run.terminal + run.html + run.xml


def test_a_run_that_looks_at_nothing_has_not_happened(target: Path, door: Receiver) -> None:
    run = run_suite(
        target,
        *("-k", "nothing_is_called_so", "--alert"),
        marker="readiness",
        environment={"OPS_ALERTS__HEARTBEAT": f"http://127.0.0.1:{door.port}/{KEY}?a=1"},
    )
    assert run.status == 5
    assert [path for path, _ in door.got] == [f"/{KEY}/start?a=1", f"/{KEY}/fail?a=1"]
