"""A host that doesn't let us in, or isn't the one that is known, can't be told: with what is missing, and once."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from proofs.harness import OWN, run_suite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.ssh_door import Door
    from proofs.harness import SuiteRun

OF_THE_HOST = ("-k", "disk or backup or database or site_answers")


def refused(door: Door, config: Path, **environment: str) -> SuiteRun:
    """A run that is not let in; what comes by the network alone is seen all the same."""
    run = run_suite(door.target(config=config), *OF_THE_HOST, environment=environment, history=OWN)
    assert run.broken == set(), run.explain()
    assert run.having("holds") == {"site-answers[/]", "site-answers[/api/status/]"}, run.explain()
    assert {run.findings[one].cause for one in run.blind} == {"host"}, run.explain()
    # One cause, one line, however many wait for it.
    assert len(re.findall(r"^CAN'T TELL \S+ \(", run.terminal, re.MULTILINE)) == 1, run.explain()
    return run


def words(run: SuiteRun) -> str:
    """What is said of the first that can't be told."""
    return run.findings["disk-space[root]"].message + run.findings["disk-space[root]"].remedy


def test_a_host_that_is_not_known_is_not_accepted(door: Door, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.touch()
    run = refused(door, door.config(UserKnownHostsFile=str(known)))
    assert "its host key isn't known to this user" in words(run)
    assert "compare the fingerprint" in words(run)
    assert known.read_text(encoding="ascii") == ""


def test_a_host_key_that_has_changed_is_not_accepted(door: Door, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    public = (tmp_path / "other.pub").read_text(encoding="ascii").split()
    line = f"[127.0.0.1]:{door.port} {public[0]} {public[1]}\n"
    known = tmp_path / "known_hosts"
    known.write_text(line, encoding="ascii")
    run = refused(door, door.config(UserKnownHostsFile=str(known)))
    assert "its host key is another one than this user knows" in words(run)
    assert known.read_text(encoding="ascii") == line


def test_a_configuration_that_accepts_everybody_is_overruled(door: Door, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.touch()
    run = refused(door, door.config(UserKnownHostsFile=str(known), StrictHostKeyChecking="no"))
    assert "its host key isn't known to this user" in words(run)
    assert known.read_text(encoding="ascii") == ""


def test_an_account_without_our_key_says_so(door: Door) -> None:
    run = refused(door, door.config(IdentityFile="/dev/null", IdentityAgent="none"))
    assert "it lets this user in by no key" in words(run)
    assert "authorized_keys" in words(run)


def test_an_account_that_is_not_there_says_so(door: Door) -> None:
    run = refused(door, door.config(User="nobody-there"))
    assert "it lets this user in by no key" in words(run)


def test_a_port_where_nothing_listens_says_so(door: Door) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    run = refused(door, door.config(Port=str(port)))
    assert "nothing listens there" in words(run)


def test_a_black_hole_costs_its_limit_once(door: Door) -> None:
    with black_hole() as (port, met):
        run = refused(door, door.config(Port=str(port)), OPS_TIMEOUTS__HOST="2 s")
        assert len(met) == 1
    assert "within 2 s" in words(run)
    assert len(run.blind) > 10


@contextmanager
def black_hole() -> Iterator[tuple[int, list[socket.socket]]]:
    """A port that takes connections and says nothing; what has come is kept."""
    met: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        over = threading.Event()

        def take() -> None:
            while not over.is_set():
                try:
                    met.append(server.accept()[0])
                except TimeoutError:
                    continue

        taker = threading.Thread(target=take)
        taker.start()
        try:
            yield server.getsockname()[1], met
        finally:
            over.set()
            taker.join()
            for one in met:
                one.close()


def test_a_key_that_may_not_reach_the_engine_says_so(door: Door) -> None:
    """The account is in its group; it is the line in authorized_keys that doesn't let this socket through."""
    file = door.directory / "home" / ".ssh" / "authorized_keys"
    line = file.read_text(encoding="utf-8")
    try:
        file.write_text(line.replace("docker.sock", "other.sock"), encoding="utf-8")
        run = run_suite(door.target(), "-k", "service_is_up or disk", history=OWN)
    finally:
        file.write_text(line, encoding="utf-8")
    assert run.broken == set(), run.explain()
    assert run.findings["disk-space[root]"].outcome == "holds"
    message = run.findings["services-up[db]"].message
    assert run.findings["services-up[db]"].outcome == "cannot tell"
    assert "the engine can't be reached: whoever asks is cut off at once" in message
    assert "permitopen" in message


def test_what_a_persons_configuration_does_for_a_persons_session_changes_nothing(door: Door, tmp_path: Path) -> None:
    config = door.config(
        ControlMaster="auto",
        ControlPath=str(tmp_path / "own"),
        ControlPersist="yes",
        RemoteCommand="cat /etc/motd",
        LocalForward=f"{tmp_path}/socket /var/run/docker.sock",
        RequestTTY="force",
        ForkAfterAuthentication="yes",
        PermitLocalCommand="yes",
        LocalCommand=f"touch {tmp_path}/ran",
    )
    run = run_suite(door.target(config=config), "-k", "disk or service_is_up", history=OWN)
    assert run.status == 0, run.explain()
    assert list(tmp_path.iterdir()) == []
