"""What is found of the lab: the file that is written, what it is good for, and what is said where nothing can be."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time
import tomllib
from typing import TYPE_CHECKING

import pytest

from discover.__main__ import NO_SETTINGS, Refused, _at, _chosen, main
from discover.draft import TABLES
from lab.engine import client
from proofs.discover.conftest import Asked, discover
from proofs.harness import ROOT, run_suite
from proofs.users import nobody
from target.load import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.stack import Lab
    from proofs.discover.conftest import Made

TASTE = {
    # A path that the backend answers: the lab's own settings know one that nobody has asked for so far.
    "site.paths",
    # Where the log format is the combined one with a time behind it, the lab leaves it at that.
    "logs.access_format",
    # Logins that there are, where the lab leaves it at those that the guide's system has.
    "site.login_paths",
    # The lab's own file has these at their defaults, which they are.
    "database.password_file",
}
"""The settings that are found otherwise than the lab's own file has them, and may be."""


@pytest.fixture(scope="module")
def found(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Asked, float]:
    """The file that is written of the lab, what was said, and how long that took in seconds."""
    file = tmp_path_factory.mktemp("found") / "target.toml"
    began = time.monotonic()
    asked = discover("--project", lab.name, "--out", str(file), apart=True)
    assert asked.status == 0, asked.said
    return file, asked, time.monotonic() - began


def test_the_written_file_can_be_read_and_says_what_the_labs_own_says(
    lab: Lab, found: tuple[Path, Asked, float]
) -> None:
    ours = load(found[0], NO_SETTINGS).target
    own = load(lab.target_file, NO_SETTINGS).target
    names = set(load(found[0], NO_SETTINGS).origins) - set(TABLES)
    assert len(names) > 15
    for name in names - TASTE:
        assert _at(ours, name) == _at(own, name), name


def test_it_gives_the_outcomes_that_the_labs_own_file_gives(
    lab: Lab, found: tuple[Path, Asked, float], tmp_path: Path
) -> None:
    # What only the lab can know: its containers are minutes old, and its password lies where nobody is told.
    known = {"OPS_COVERAGE__LOG_WINDOW": "0", "OPS_DATABASE__PASSWORD_FILE": str(lab.ops_password_file)}
    run = run_suite(found[0], environment=known, history=tmp_path / "ours.sqlite")
    own = run_suite(lab.target_file, history=tmp_path / "own.sqlite")
    outcomes = [
        {(name.replace("[/api/status/]", "[/health/]"), one.outcome) for name, one in done.findings.items()}
        for done in (run, own)
    ]
    assert outcomes[0] == outcomes[1], run.explain()
    assert len(outcomes[0]) > 25
    assert run.status == own.status


def test_every_setting_has_a_reason_and_the_head_says_what_was_looked_at(found: tuple[Path, Asked, float]) -> None:
    text = found[0].read_text(encoding="utf-8")
    head, _, body = text.partition("\n\n")
    assert re.search(
        r"as `make target` \(synk-operations-checks [\d.]+\) found it on \d{4}-\d\d-\d\d at \d\d:\d\d UTC",
        re.sub(r"\n# *", " ", head),
    )
    for words in (
        "Looked at:",
        "6 of 6 containers run",
        "docker-compose.yml",
        "nginx:",
        "backups: ",
        "GRANT pg_monitor",
    ):
        assert words in head
    assert f"pytest -m daily --target {found[0]}" in head
    lines = body.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if re.match(r"[a-z_]+ = ", line):
            assert "   # " in line or before.startswith("# "), line
    assert "# ? From which networks is the admin area used?" in body


def test_no_secret_is_written_or_said(lab: Lab, found: tuple[Path, Asked, float]) -> None:
    everything = found[0].read_text(encoding="utf-8") + found[1].said
    secrets = [*lab.secrets().values(), lab.ops_password_file.read_text(encoding="utf-8").strip()]
    secrets += re.findall(
        r"(?m)^[A-Z_]*(?:PASSWORD|KEY)=(\S+)", (lab.project_directory / ".env.production").read_text()
    )
    assert len(secrets) > 4
    assert not [one for one in secrets if len(one) > 6 and one in everything]


def test_it_changes_nothing_and_executes_nothing_where_files_can_be_read(lab: Lab, tmp_path: Path) -> None:
    nginx = lab.container("nginx")
    before, since = sorted(map(str, nginx.diff() or ())), time.time()
    assert discover("--project", lab.name, "--out", str(tmp_path / "t.toml")).status == 0
    events = client().api.events(since=since, until=time.time(), decode=True, filters={"type": "container"})
    ours = {one.id for one in lab.containers()}
    checks = ("pg_isready", "redis-cli", "healthcheck.py")
    actions = {one["Action"] for one in events if one["id"] in ours}
    strange = {one for one in actions if not any(word in one for word in checks)}
    # The engine hands out files, and lists processes; and there are the stack's own health checks.
    assert strange <= {"archive-path", "top", "exec_die"}, strange
    assert {"archive-path", "top"} <= strange
    assert sorted(map(str, nginx.diff() or ())) == before


def test_it_takes_a_few_seconds(found: tuple[Path, Asked, float]) -> None:
    # Two minutes from the clone to the report are what is promised; this is the part that is ours.
    assert found[2] < 30


def test_a_second_look_says_the_same_and_leaves_the_file_as_it_is(lab: Lab, found: tuple[Path, Asked, float]) -> None:
    before = found[0].read_bytes()
    again = discover("--project", lab.name, "--out", str(found[0]))
    assert (again.status, found[0].read_bytes()) == (0, before), again.said
    assert "what was found says the same" in again.said


def test_what_has_changed_is_shown_setting_by_setting(
    lab: Lab, found: tuple[Path, Asked, float], tmp_path: Path
) -> None:
    text = found[0].read_text(encoding="utf-8")
    secret = "a-secret-of-yours"  # noqa: S105  that it isn't shown is what is proven
    text = text.replace('cache = "redis"', 'cache = "memcached"').replace(
        "password_file =", f'password = "{secret}"\n# '
    )
    file = tmp_path / "target.toml"
    file.write_text(f'{text}\n[limits]\nbackup_age = "36 h"\n', encoding="utf-8")
    asked = discover("--project", lab.name, "--out", str(file))
    assert asked.status == 1, asked.said
    assert re.search(
        r'services\.cache\n +in the file   "memcached"\n +found now     "redis"   redis-server runs', asked.said
    )
    assert "Yours, and not looked for: database.password, limits.backup_age" in asked.said
    assert secret not in asked.said
    assert "site.url" not in asked.said


def test_a_file_that_cant_be_read_is_said_and_left(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "target.toml"
    file.write_text("[project]\nnmae = 1\n", encoding="utf-8")
    asked = discover("--project", lab.name, "--out", str(file))
    assert asked.status == 2
    assert "is left as it is, but can't be read" in asked.said
    assert "target.toml:2: project.nmae: there is no such setting (did you mean project.name?)" in asked.said
    assert file.read_text(encoding="utf-8") == "[project]\nnmae = 1\n"


def test_a_file_that_cant_be_written_is_said(lab: Lab, tmp_path: Path) -> None:
    asked = discover("--project", lab.name, "--out", str(tmp_path / "nowhere" / "target.toml"))
    assert (asked.status, "nowhere/target.toml can't be written: there is no such directory" in asked.said) == (
        2,
        True,
    ), asked.said


def test_a_name_that_there_isnt_gets_the_nearest(lab: Lab) -> None:
    asked = discover("--project", lab.name[:-1] + "x")
    assert asked.status == 2
    assert "There is no Compose project or Swarm stack" in asked.said
    assert re.search(rf"Did you mean .*\b{lab.name}\b", asked.said)


def test_without_a_terminal_one_of_several_must_be_named(
    lab: Lab, containers: Callable[[str, Path, list[Made]], None], app: Path, tmp_path: Path
) -> None:
    containers(f"{lab.name}two", app, [{"service": "db", "image": "db"}])
    asked = discover("--out", str(tmp_path / "t.toml"))
    assert asked.status == 2, asked.said
    assert re.search(rf"{lab.name} +compose +5 services, 6 of 6 containers run  {lab.project_directory}", asked.said)
    assert re.search(rf"{lab.name}two +compose +1 services, 0 of 1 containers run", asked.said)
    assert "Which one? Name it: make target PROJECT=…" in asked.said


def test_on_a_terminal_it_asks_and_takes_a_number_or_a_name(
    lab: Lab, containers: Callable[[str, Path, list[Made]], None], app: Path, tmp_path: Path
) -> None:
    containers(f"{lab.name}two", app, [{"service": "db", "image": "db"}])
    file = tmp_path / "t.toml"
    here, there = pty.openpty()
    command = [sys.executable, "-m", "discover", "--out", str(file)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=there, stdout=there, stderr=there, start_new_session=True)
    os.close(there)
    said = _until(here, "Which one?")
    os.write(here, b"nobody\n")
    said = _until(here, "Which one?")
    assert "There is no Compose project or Swarm stack 'nobody'" in said
    os.write(here, f"{lab.name}\n".encode())
    _until(here, "What is left to do")
    assert process.wait(30) == 0
    os.close(here)
    assert load(file, NO_SETTINGS).target.project.name == lab.name


def _until(terminal: int, words: str, seconds: float = 30) -> str:
    said, deadline = "", time.monotonic() + seconds
    while words not in said and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            try:
                said += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                break
    assert words in said, said
    return said


def test_an_engine_that_isnt_there_is_said(tmp_path: Path) -> None:
    asked = discover(environment={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert asked.status == 3
    assert "the engine can't be reached: there is no socket where it should be" in asked.said
    assert "systemctl status docker" in asked.said


def test_a_socket_that_may_not_be_used_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with nobody():
        status = main(["--out", f"{tempfile.gettempdir()}/never-written.toml"])
    said = capsys.readouterr().out
    assert status == 3
    assert "permission denied on its socket" in said
    assert "group `docker`" in said


def test_an_engine_of_another_machine_must_be_reached_by_ssh() -> None:
    asked = discover(environment={"DOCKER_HOST": "tcp://192.0.2.7:2376"})
    assert (asked.status, "HOST=ssh://user@name" in asked.said) == (2, True), asked.said


def test_a_docker_context_that_cant_be_read_isnt_taken_for_this_machines_engine() -> None:
    asked = discover(environment={"DOCKER_CONTEXT": "nowhere"})
    assert (asked.status, "context 'nowhere' can't be read here" in asked.said) == (2, True), asked.said


def test_an_engine_without_any_stack_is_said() -> None:
    with pytest.raises(Refused, match=r"no Compose project and no Swarm stack on here: .* Bring the stack up first"):
        _chosen([], "", "here", None, print)


def test_a_directory_that_is_gone_is_a_question_and_one_that_was_moved_is_found(
    lab: Lab, containers: Callable[[str, Path, list[Made]], None], tmp_path: Path
) -> None:
    gone = tmp_path / "srv" / "old"
    containers(f"{lab.name}moved", gone, [{"service": "keep", "image": "db"}, {"service": "app", "image": "backend"}])
    file = tmp_path / "t.toml"
    asked = discover("--project", f"{lab.name}moved", "--out", str(file))
    assert asked.status == 0, asked.said
    where = "Where do its Compose file and its papers lie now?"
    assert f"{where} The labels say {gone}, and there is no such directory on this machine" in asked.said
    assert load(file, NO_SETTINGS).target.project.directory == gone
    new = tmp_path / "srv" / "new"
    new.mkdir(parents=True)
    (new / "compose.yaml").write_text("services: {keep: {image: a}, app: {image: b}}\n", encoding="utf-8")
    asked = discover("--project", f"{lab.name}moved", "--out", str(tmp_path / "u.toml"))
    assert load(tmp_path / "u.toml", NO_SETTINGS).target.project.directory == new
    assert f"the labels say {gone}, which is gone" in " ".join(
        (tmp_path / "u.toml").read_text().replace("# ", "").split()
    )


def test_two_services_that_could_be_the_database_are_a_question(
    lab: Lab, containers: Callable[[str, Path, list[Made]], None], app: Path, tmp_path: Path
) -> None:
    two = [{"service": "one", "image": "db"}, {"service": "two", "image": "db"}]
    (app / "compose.yaml").write_text("services: {one: {image: a}, two: {image: a}, app: {image: b}}\n")
    containers(f"{lab.name}both", app, [*two, {"service": "app", "image": "backend"}])
    file = tmp_path / "t.toml"
    asked = discover("--project", f"{lab.name}both", "--out", str(file))
    assert asked.status == 0, asked.said
    assert "Which service is PostgreSQL? Several could be: one: " in asked.said
    assert "? Which service is PostgreSQL? Several could be: one: its command is postgres, its image is" in flat(file)
    assert "database" not in tomllib.loads(file.read_text(encoding="utf-8"))["services"]
    load(file, NO_SETTINGS)
    # Without the Compose file all names are listed, and a default that is none of them wouldn't do.
    (app / "compose.yaml").unlink()
    again = tmp_path / "u.toml"
    assert discover("--project", f"{lab.name}both", "--out", str(again)).status == 0
    assert load(again, NO_SETTINGS).target.services.names == ["app", "one", "two"]
    assert "? Which service is PostgreSQL?" in flat(again)


def test_of_two_databases_the_one_that_the_application_names_is_it(
    lab: Lab, containers: Callable[[str, Path, list[Made]], None], app: Path, tmp_path: Path
) -> None:
    two = [{"service": "one", "image": "db"}, {"service": "two", "image": "db"}]
    names = {"DATABASE_URL": "postgres://u:pw-of-it@two/x"}
    containers(f"{lab.name}named", app, [*two, {"service": "app", "image": "backend", "environment": names}])
    file = tmp_path / "u.toml"
    asked = discover("--project", f"{lab.name}named", "--out", str(file))
    written = tomllib.loads(file.read_text(encoding="utf-8"))
    assert written["services"].get("database") == "two", asked.said
    assert "app names it (DATABASE_URL)" in flat(file)
    assert "pw-of-it" not in file.read_text(encoding="utf-8") + asked.said


def flat(file: Path) -> str:
    """A file's comments as the sentences that they are."""
    return " ".join(file.read_text(encoding="utf-8").replace("# ", "").split())
