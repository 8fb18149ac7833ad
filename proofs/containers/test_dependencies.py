"""pip and npm themselves are asked, against indexes that answer, know nothing, refuse and are gone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observe import dependencies
from observe.container_command import QUIET
from observe.dependencies import (
    Outdated,
    Packages,
    _answers,
    _failed_lookups,
    _locked,
    _wanted,
    normalized,
    npm_packages,
    npm_packages_inside,
    python_packages,
    short_reason,
    uncovered,
)
from observe.errors import CannotTell
from observe.host import Host, Ran
from proofs.containers.standing import with_npm
from proofs.users import nobody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from observe.engine import Container, Engine

HOST = Host("local://", 5)
DJANGO = Outdated("Django", "3.2.25", "5.2.8")
REDIS = Outdated("redis", "4.3.4", "7.0.1")


class Index:
    """A package index on loopback, for pip under /simple/ and for npm under /npm/.

    Attributes:
        newer: Name to a version that is newer than what is asked for.
        unknown: Names that it doesn't know.
        refused: Names to the status that they are answered with instead.
        asked: The names that were asked for.
    """

    def __init__(self, versions: dict[str, str]) -> None:
        self.versions = versions
        self.newer: dict[str, str] = {}
        self.unknown: set[str] = set()
        self.refused: dict[str, int] = {}
        self.asked: list[str] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, content = index.answer(unquote(self.path))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        _, kind, name = path.rstrip("/").split("/", 2)
        self.asked.append(name)
        if name in self.refused:
            return self.refused[name], "text/plain", b"refused"
        if name in self.unknown or name not in self.versions:
            return 404, "text/plain", b"not here"
        versions = [self.versions[name], *([self.newer[name]] if name in self.newer else [])]
        if kind == "npm":
            documents = {one: {"name": name, "version": one, "dist": {"tarball": "http://x/"}} for one in versions}
            body = {"name": name, "dist-tags": {"latest": versions[-1]}, "versions": documents}
            return 200, "application/json", json.dumps(body).encode()
        files = [f"{name.replace('-', '_')}-{one}-py3-none-any.whl" for one in versions]
        links = "".join(f'<a href="/f/{file}">{file}</a>' for file in files)
        return 200, "text/html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


# What the review covers -----------------------------------------------------------------------------------------------


def test_what_the_review_has_seen_is_covered_until_something_newer_is_out() -> None:
    seen = uncovered([DJANGO, REDIS], {"django": "5.2.8", "redis": "7.0.0"}, {}, kind="Python", packages=41)
    assert seen.open == (REDIS,)
    assert seen.said == (
        "1 of 41 Python packages is outdated and not reviewed: redis 4.3.4 (7.0.1); 1 more is outdated and reviewed"
    )


def test_nothing_outdated_and_nothing_open_are_said_apart() -> None:
    assert uncovered([], {}, {}, kind="Python", packages=41).said == "none of 41 Python packages is outdated"
    held = uncovered([DJANGO, REDIS], {"Django": "5.2.8", "redis": "7.0.1"}, {}, kind="Python", packages=41)
    assert not held.open
    assert held.said == "2 of 41 Python packages are outdated, and all of them reviewed"


def test_the_table_has_what_waits_first_and_since_when() -> None:
    held = uncovered(
        [DJANGO, REDIS],
        {"DJANGO": "5.2.8", "redis": "7.0.0"},
        {"Redis": date(2026, 10, 1)},
        kind="Python",
        packages=41,
    )
    assert held.rows() == [
        {
            "package": "redis",
            "installed": "4.3.4",
            "latest": "7.0.1",
            "outdated since": "2026-10-01",
            "reviewed": "no, 7.0.0 was",
        },
        {"package": "Django", "installed": "3.2.25", "latest": "5.2.8", "outdated since": "", "reviewed": "yes"},
    ]


def test_many_open_ones_are_counted_and_some_are_named() -> None:
    many = [Outdated(f"p{number}", "1", "2") for number in range(12)]
    said = uncovered(many, {}, {}, kind="npm", packages=12).said
    assert said.startswith("12 of 12 npm packages are outdated and not reviewed: p0 1 (2), p1 1 (2), ")
    assert said.endswith(" p9 1 (2) and 2 more")


@given(
    st.lists(st.builds(Outdated, st.sampled_from(["a", "b.c", "B_C", "@x/y"]), st.just("1"), st.sampled_from("234"))),
    st.dictionaries(st.sampled_from(["a", "b-c", "@x/y"]), st.sampled_from("234")),
)
def test_everything_outdated_is_either_open_or_reviewed(outdated: list[Outdated], covers: dict[str, str]) -> None:
    held = uncovered(outdated, covers, {}, kind="npm", packages=9)
    for one in outdated:
        assert (one in held.open) == (covers.get(normalized(one.name)) != one.latest)
    assert len(held.rows()) == len(outdated)


def packages(**given: Any) -> Packages:  # noqa: ANN401  whatever a test is about
    usual: dict[str, Any] = {"kind": "Python", "place": "in x by pip", "names": ("a", "b", "c", "d"), "outdated": ()}
    return Packages(**{**usual, "known": 4, **given})


def test_an_index_that_knows_few_or_does_not_answer_cannot_tell() -> None:
    packages().uncovered({}, {})
    packages(known=2, unknown=("a", "b")).uncovered({}, {})
    with pytest.raises(CannotTell, match="the index knows 1 of 4 Python packages"):
        packages(known=1, unknown=("a", "b", "c")).uncovered({}, {})
    with pytest.raises(CannotTell, match="knows 0 of 0"):
        packages(names=(), known=0).uncovered({}, {})
    with pytest.raises(CannotTell, match="1 of 4 Python packages couldn't be looked up: timed out"):
        packages(known=3, unanswered=("a",), why="timed out").uncovered({}, {})


def test_what_is_open_is_open_even_if_not_all_could_be_looked_up() -> None:
    held = packages(known=1, unanswered=("a", "b", "c"), why="x", outdated=(Outdated("d", "1", "2"),)).uncovered({}, {})
    assert held.open
    with pytest.raises(CannotTell):
        packages(known=1, unanswered=("a",), outdated=(Outdated("d", "1", "2"),)).uncovered({"d": "2"}, {})


# pip ------------------------------------------------------------------------------------------------------------------


class Backend:
    """What stands for the container: its name."""

    name = "backend_1"


class Pip:
    """The pip of this environment, run here instead of in a container, with an index that knows what is installed."""

    def __init__(self) -> None:
        self.more: dict[str, str] = {}
        self._environment = {**os.environ, **QUIET, "PIP_CONFIG_FILE": os.devnull}
        command = (sys.executable, "-m", "pip", "list", "--format=json")
        listed = subprocess.run(command, capture_output=True, check=True, env=self._environment)
        self.index = Index({normalized(one["name"]): one["version"] for one in json.loads(listed.stdout)})

    def run(
        self,
        _engine: object,
        _container: object,
        command: tuple[str, ...],
        seconds: float,
        *,
        keep: Callable[[bytes], bool],
    ) -> Ran:
        variables = {**self._environment, "PIP_INDEX_URL": f"{self.index.address}/simple/", **self.more}
        done = subprocess.run(command, capture_output=True, check=False, env=variables, timeout=seconds)
        kept = b"\n".join(line for line in done.stdout.split(b"\n") if keep(line))
        return Ran(done.returncode, kept.decode(), done.stderr.decode().strip())

    def __call__(self) -> Packages:
        return python_packages(None, Backend(), sys.executable, 60)  # type: ignore[arg-type]


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pip]:
    pip = Pip()
    monkeypatch.setattr(dependencies, "run_inside", pip.run)
    yield pip
    pip.index.close()


def test_pip_accounts_for_every_package(pip: Pip) -> None:
    index = pip.index
    index.newer["pluggy"] = "999.1"
    index.unknown = {"iniconfig"}
    found = pip()
    assert set(index.asked) == set(index.versions)
    assert found.outdated == (Outdated("pluggy", index.versions["pluggy"], "999.1"),)
    assert found.unknown == ("iniconfig",)
    assert (len(found.names), found.known) == (len(index.versions), len(index.versions) - 1)
    assert not found.unanswered
    assert found.notes == ("not in the index, or newer than what it has: iniconfig",)
    assert found.looked_at.startswith(f"{len(found.names)} packages in backend_1 by pip of ")
    assert found.uncovered({"pluggy": "999.1"}, {}).open == ()


def test_a_package_that_the_index_refuses_to_tell_of_cannot_tell(pip: Pip) -> None:
    pip.index.refused = {"pluggy": 500, "iniconfig": 403}
    found = pip()
    assert set(found.unanswered) == {"pluggy", "iniconfig"}
    with pytest.raises(CannotTell, match=r"2 of \d+ Python packages couldn't be looked up: (403 Client|too many 500)"):
        found.uncovered({}, {})


def test_pip_with_an_index_that_is_gone_cannot_tell(pip: Pip) -> None:
    pip.index.close()
    found = pip()
    assert (found.known, found.outdated, len(found.unanswered)) == (0, (), len(found.names))
    with pytest.raises(CannotTell, match=r"couldn't be looked up: \[Errno 111\] Connection refused"):
        found.uncovered({}, {})


def test_what_a_second_index_does_not_answer_for_may_be_old_but_not_current(pip: Pip) -> None:
    pip.index.newer["pluggy"] = "999.1"
    pip.more = {"PIP_EXTRA_INDEX_URL": "http://127.0.0.1:1/simple/"}
    found = pip()
    assert [one.name for one in found.outdated] == ["pluggy"]
    assert set(found.unanswered) == set(found.names) - {"pluggy"}
    with pytest.raises(CannotTell, match="Connection refused"):
        found.uncovered({"pluggy": "999.1"}, {})


def test_pip_with_another_index_cannot_tell(pip: Pip) -> None:
    pip.index.versions = {}
    with pytest.raises(CannotTell, match=r"the index knows 0 of \d+ Python packages"):
        pip().uncovered({}, {})


@pytest.mark.parametrize(
    ("ran", "why"),
    [
        (Ran(1, "", "/usr/bin/python3: No module named pip"), "No module named pip"),
        (Ran(2, "", "Usage: …\nno such option: --uptodate"), "no such option"),
        (Ran(0, "", ""), "printed no list of packages"),
        (Ran(0, '[{"name": "x"', ""), "printed no list of packages"),
    ],
)
def test_a_pip_that_does_not_say_cannot_tell(monkeypatch: pytest.MonkeyPatch, ran: Ran, why: str) -> None:
    monkeypatch.setattr(dependencies, "run_inside", lambda *_args, **_options: ran)
    with pytest.raises(CannotTell, match=why):
        python_packages(None, Backend(), "python3", 1)  # type: ignore[arg-type]


def test_a_password_in_an_address_is_not_repeated() -> None:
    address = "https://user:hunter2@index.test/simple/a-b/"
    line = f"Could not fetch URL {address}: 401 Client Error: Unauthorized for url: {address} - skipping"
    assert _failed_lookups(line) == {"a-b": "401 Client Error: Unauthorized for url"}
    assert "hunter2" not in short_reason("request to https://user:hunter2@registry.test/x failed")


def test_a_page_that_is_not_there_is_no_failed_lookup() -> None:
    line = "Could not fetch URL http://x/simple/a/: 404 Client Error: Not Found for url: http://x/simple/a/ - skipping"
    assert _failed_lookups(line) == {}


# npm ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def registry() -> Iterator[Index]:
    index = Index({"esbuild": "0.19.12", "left-pad": "1.3.0", "@scope/esbuild": "2.0.0"})
    yield index
    index.close()


@pytest.fixture
def frontend(tmp_path: Path, registry: Index) -> Path:
    """A directory with a lock file and without node_modules, as where the pages are built in an image."""
    directory = tmp_path / "front end; $x"
    directory.mkdir()
    (directory / ".npmrc").write_text(f"registry={registry.address}/npm/\n")
    wanted = {"dependencies": {"left-pad": "^1.0.0"}, "devDependencies": {"esbuild": "0.19.12", "@scope/esbuild": "^2"}}
    (directory / "package.json").write_text(json.dumps({"name": "x", "version": "1.0.0", **wanted}))
    locked = {f"node_modules/{name}": {"version": version} for name, version in registry.versions.items()}
    lock = {"name": "x", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": wanted, **locked}}
    (directory / "package-lock.json").write_text(json.dumps(lock))
    return directory


def install(directory: Path, name: str, version: str) -> None:
    (package := directory / "node_modules" / name).mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"name": name, "version": version}))


def fingerprints(directory: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(directory)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_npm_holds_the_locked_versions_against_the_registry(frontend: Path, registry: Index) -> None:
    registry.newer = {"esbuild": "0.25.12", "@scope/esbuild": "3.0.0"}
    before = fingerprints(frontend)
    found = npm_packages(HOST, frontend, "npm", 60)
    assert set(found.outdated) == {
        Outdated("esbuild", "0.19.12", "0.25.12"),
        Outdated("@scope/esbuild", "2.0.0", "3.0.0"),
    }
    assert (found.names, found.known) == (("@scope/esbuild", "esbuild", "left-pad"), 3)
    assert found.looked_at == f"3 packages in {frontend} by npm, 3 known to the index"
    assert found.notes == ("no node_modules there: 3 of 3 versions are those of package-lock.json",)
    assert fingerprints(frontend) == before, "package.json and the lock file are untouched, and nothing is beside them"


def test_npm_finds_everything_current(frontend: Path, registry: Index) -> None:
    found = npm_packages(HOST, frontend, "npm", 60)
    assert set(registry.asked) == set(registry.versions)
    assert found.uncovered({}, {}).said == "none of 3 npm packages is outdated"


def test_npm_takes_what_is_installed_before_what_is_locked(frontend: Path, registry: Index) -> None:
    install(frontend, "left-pad", "1.1.0")
    install(frontend, "esbuild", "0.19.12")
    before = fingerprints(frontend)
    found = npm_packages(HOST, frontend, "npm", 60)
    assert found.outdated == (Outdated("left-pad", "1.1.0", "1.3.0"),)
    assert found.known == 2
    assert found.notes == ("not installed there, so that nothing can be said of them: @scope/esbuild",)
    assert fingerprints(frontend) == before
    assert "@scope/esbuild" not in registry.asked


def test_npm_leaves_nothing_behind(
    frontend: Path, registry: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("home", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    npm_packages(HOST, frontend, "npm", 60)
    assert registry.asked
    assert not list((tmp_path / "home").iterdir())
    assert not list((tmp_path / "temporary").iterdir())


def test_npm_says_what_the_registry_does_not_know(frontend: Path, registry: Index) -> None:
    registry.unknown = {"left-pad"}
    found = npm_packages(HOST, frontend, "npm", 60)
    assert (found.known, found.unknown) == (2, ("left-pad",))
    assert not found.uncovered({}, {}).open
    registry.unknown = set(registry.versions)
    with pytest.raises(CannotTell, match="the index knows 0 of 3 npm packages"):
        npm_packages(HOST, frontend, "npm", 60).uncovered({}, {})


def test_npm_with_a_registry_that_refuses_some_cannot_tell(frontend: Path, registry: Index) -> None:
    registry.refused = {"left-pad": 403}
    with pytest.raises(CannotTell, match="1 of 3 npm packages couldn't be looked up: the registry answered 403"):
        npm_packages(HOST, frontend, "npm", 60).uncovered({}, {})


def test_npm_with_a_registry_that_is_ill_or_gone_cannot_tell(frontend: Path, registry: Index) -> None:
    registry.refused = {"left-pad": 500}
    with pytest.raises(CannotTell, match="can't look its packages up: E500"):
        npm_packages(HOST, frontend, "npm", 60)
    registry.close()
    with pytest.raises(CannotTell, match="can't look its packages up: ECONNREFUSED"):
        npm_packages(HOST, frontend, "npm", 60)


def test_npm_that_does_not_end_cannot_tell(frontend: Path) -> None:
    with pytest.raises(CannotTell, match="did not end within 10 ms") as raised:
        npm_packages(HOST, frontend, "npm", 0.01)
    assert "npm ping" in raised.value.mend


def test_npm_without_versions_or_files_cannot_tell(frontend: Path) -> None:
    (frontend / "package-lock.json").unlink()
    with pytest.raises(CannotTell, match=r"neither node_modules nor package-lock\.json"):
        npm_packages(HOST, frontend, "npm", 60)
    (frontend / "package.json").write_text("{")
    with pytest.raises(CannotTell, match=r"package\.json can't be read: Expecting"):
        npm_packages(HOST, frontend, "npm", 60)
    (frontend / "package.json").write_text('{"dependencies": {"a": "file:../a"}}')
    with pytest.raises(CannotTell, match="names no package of a registry"):
        npm_packages(HOST, frontend, "npm", 60)
    (frontend / "package.json").unlink()
    with pytest.raises(CannotTell, match=r"there is no package\.json in"):
        npm_packages(HOST, frontend, "npm", 60)


def test_npm_in_a_directory_that_may_not_be_read_cannot_tell(frontend: Path) -> None:
    frontend.chmod(0o700)
    with nobody(), pytest.raises(CannotTell, match="can't be read: Permission denied"):
        npm_packages(HOST, frontend, "npm", 60)


def test_an_npm_that_is_not_there_cannot_tell(frontend: Path) -> None:
    with pytest.raises(CannotTell, match="there is no /no/npm on the host") as raised:
        npm_packages(HOST, frontend, "/no/npm", 60)
    assert "dependencies.npm_service" in raised.value.mend


def test_an_npm_that_prints_something_else_cannot_tell(frontend: Path, tmp_path: Path) -> None:
    (program := tmp_path / "npm").write_text("#!/bin/sh\necho 'npm error code EJSONPARSE' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(CannotTell, match="gave no answer, and ended with status 1: npm error code EJSONPARSE"):
        npm_packages(HOST, frontend, str(program), 60)


def test_an_npm_that_asked_nobody_cannot_tell(frontend: Path, tmp_path: Path) -> None:
    (program := tmp_path / "npm").write_text("#!/bin/sh\necho '{}'\n")
    program.chmod(0o755)
    with pytest.raises(CannotTell, match=r"3 of 3 npm packages aren't installed in .*, so that nothing"):
        npm_packages(HOST, frontend, str(program), 60).uncovered({}, {})


# npm in a container ---------------------------------------------------------------------------------------------------


@pytest.fixture
def inside(frontend: Path) -> Iterator[tuple[Engine, Container, Any]]:
    with with_npm(frontend) as there:
        yield there


def test_npm_in_a_container_says_what_is_outdated_and_writes_nothing(
    frontend: Path, registry: Index, request: pytest.FixtureRequest
) -> None:
    for name, version in registry.versions.items():
        install(frontend, name, version)
    registry.newer = {"esbuild": "0.25.12"}
    registry.unknown = {"left-pad"}
    engine, container, made = request.getfixturevalue("inside")
    before = changes(made)
    found = npm_packages_inside(engine, container, "/my app", "npm", 60)
    assert changes(made) == before
    assert found.outdated == (Outdated("esbuild", "0.19.12", "0.25.12"),)
    assert (found.known, found.unknown) == (2, ("left-pad",))
    assert found.looked_at == f"3 packages in {container.name}:/my app by npm, 2 known to the index"
    registry.close()
    with pytest.raises(CannotTell, match="can't look its packages up: ECONNREFUSED"):
        npm_packages_inside(engine, container, "/my app", "npm", 60)


def changes(container: Any) -> list[tuple[str, int]]:  # noqa: ANN401  the SDK has no types
    return sorted((one["Path"], one["Kind"]) for one in container.diff() or [])


def test_npm_in_a_container_without_the_packages_cannot_tell(inside: tuple[Engine, Container, Any]) -> None:
    engine, container, _ = inside
    with pytest.raises(CannotTell, match="3 of 3 npm packages aren't installed in"):
        npm_packages_inside(engine, container, "/my app", "npm", 60).uncovered({}, {})
    with pytest.raises(CannotTell, match=r"can't be run: .*no such file or directory"):
        npm_packages_inside(engine, container, "/none", "npm", 60)


def test_only_what_comes_from_a_registry_has_a_latest_version() -> None:
    registry = ("^1.0.0", "1.2.3", "npm:b@1", "latest", "1.x || >=2", "*", "")
    elsewhere = (
        "file:../h",
        "git+ssh://x/y",
        "someone/j",
        "https://x/k.tgz",
        "workspace:*",
        "../m",
        "github:a/b",
        "./o",
    )
    named = {f"{number:02}": wanted for number, wanted in enumerate((*registry, *elsewhere))}
    assert _wanted({"dependencies": named, "devDependencies": None}) == tuple(named)[: len(registry)]


def test_a_version_is_found_in_locks_old_and_new() -> None:
    assert _locked({"packages": {"node_modules/@a/b": {"version": "1"}}}, "@a/b") == "1"
    assert _locked({"dependencies": {"b": {"version": "2"}}}, "b") == "2"
    assert _locked({"packages": {"node_modules/b": {"link": True}}}, "b") == ""


def test_an_answer_counts_for_the_package_that_it_is_about() -> None:
    log = """npm http fetch GET 200 https://r.test/path/@scope%2fesbuild 9ms (cache miss)
npm http fetch GET 500 https://r.test/path/esbuild attempt 1 failed with 500
npm http fetch GET 404 https://r.test/path/esbuild 9ms (cache skip)
npm http fetch GET https://r.test/x attempt 1 failed with ECONNREFUSED
"""
    assert _answers(log, ("esbuild", "@scope/esbuild", "x")) == {"@scope/esbuild": 200, "esbuild": 404}


@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm: the proofs above say so by failing")
def test_this_npm_logs_what_it_asks_for(frontend: Path, registry: Index) -> None:
    done = subprocess.run(
        ("npm", "outdated", "--json"),
        cwd=frontend,
        env={**os.environ, **QUIET, "npm_config_cache": str(frontend.parent / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(rf"^npm http fetch GET 200 {registry.address}/npm/left-pad ", done.stderr, re.MULTILINE)
