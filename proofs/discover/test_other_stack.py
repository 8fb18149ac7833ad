"""A stack of another shape, not described to anybody: it is found, and a day's look at it is right."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from discover import nginx_files
from discover.__main__ import NO_SETTINGS
from discover.sight import Here
from proofs.discover.conftest import discover
from proofs.harness import run_suite
from proofs.users import nobody
from target.load import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.other import OtherStack


@pytest.fixture(scope="module")
def written(other_stack: OtherStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that is written of it."""
    file = tmp_path_factory.mktemp("other") / "target.toml"
    asked = discover("--project", other_stack.project, "--out", str(file))
    assert asked.status == 0, asked.said
    return file


@pytest.fixture
def role(other_stack: OtherStack, written: Path) -> Iterator[None]:
    """The role of the checks, made by the very lines that the file has for it."""
    head = written.read_text(encoding="utf-8").partition("\n\n")[0]
    lines = [line.removeprefix("#").strip() for line in head.splitlines()]
    first = next(number for number, line in enumerate(lines) if line.startswith("(umask"))
    commands = "\n".join(lines[first : first + 3])
    assert commands.count("\n") == 2
    done = subprocess.run(["sh", "-ec", commands], cwd=written.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), commands
    yield
    other_stack.psql("DROP ROLE ops_checks")


def test_it_is_found_as_it_is(other_stack: OtherStack, written: Path) -> None:
    target = load(written, NO_SETTINGS).target
    assert (target.services.database, target.services.backend, target.services.cache) == ("postgres", "web", "")
    assert target.project.directory == other_stack.project_directory
    assert target.site.url == f"https://{other_stack.domain}/"
    assert (target.site.connect_to, target.site.http_connect_to) == (
        other_stack.connect_to,
        other_stack.http_connect_to,
    )
    assert target.certificate.file == other_stack.certificate
    assert (target.backup_directory, target.backups.pattern) == (other_stack.backups, other_stack.pattern)
    assert (target.logs.access, target.logs.error) == (other_stack.access_log, other_stack.error_log)
    assert target.logs.refused_status == 429
    text = written.read_text(encoding="utf-8")
    assert "its port is not published; reached by the container's address" in text
    assert re.search(r'cache = ""   # no container looks like one \(of 3 services\)', text)


@pytest.mark.usefixtures("role")
def test_a_days_look_at_it_holds_without_an_edit(written: Path) -> None:
    # Its containers are minutes old, which is why the logs reach back no further.
    run = run_suite(written, environment={"OPS_COVERAGE__LOG_WINDOW": "0"})
    assert (run.broken, run.blind, run.status) == (set(), set(), 0), run.explain()
    assert {one for one in run.findings if one.startswith("services-up")} == {
        f"services-up[{service}]" for service in ("postgres", "web", "worker")
    }
    assert len(run.having("holds")) > 20
    held = [run.findings[one] for one in run.having("holds")]
    assert all(one.looked_at and one.expected and one.seen for one in held)


def test_a_configuration_that_may_not_be_read_is_said_and_nothing_is_guessed(other_stack: OtherStack) -> None:
    file = other_stack.nginx_file
    mode = file.stat().st_mode
    file.chmod(0o600)
    try:
        with nobody():
            found = nginx_files.of_host(Here())
    finally:
        file.chmod(mode)
    said = [one.unread[0] for one in found if not one.main and str(file) in one.unread[0]]
    assert len(said) == 1, found
    assert f"can't be read: {file}: Permission denied; nor by `nginx -T`: " in said[0]


def test_its_nginx_prints_what_its_files_say(other_stack: OtherStack) -> None:
    found = next(one for one in nginx_files.of_host(Here()) if str(other_stack.nginx_file) in one.files)
    words = ("nginx", "-T", "-p", str(other_stack.nginx_run), "-c", str(other_stack.nginx_file))
    printed = nginx_files._of_printed(nginx_files._dump_here(Here(), words, ()), "printed")
    assert printed.main == found.main
    assert found.how == "nginx's files on this machine"
