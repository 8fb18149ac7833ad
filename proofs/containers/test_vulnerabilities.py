"""pip-audit and npm themselves are asked, against sources that know, know nothing, refuse, and are gone."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from lab import advisory_server
from lab.advisories import KNOWN, record
from observe.errors import CannotTell
from observe.host import Host
from observe.vulnerabilities import of_npm, of_python
from observe.vulnerabilities.audit import Advisory, Audit
from observe.vulnerabilities.of_npm import npm_audit, npm_audit_inside
from observe.vulnerabilities.of_python import _held_against, _to_be_asked, _why, _with_severities, python_audit
from proofs.containers.standing import with_npm
from proofs.containers.test_dependencies import changes, fingerprints
from proofs.users import nobody
from target.kinds import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from observe.engine import Container, Engine

HOST = Host("local://", 5)
MEDIUM = Severity("medium")
THERE = (("Django", "3.2.25"), ("lz4", "4.0.2+dfsg"), ("zope.interface", "5.5.2"))
OF_DJANGO = (
    record("PYSEC-2026-1", "django", ("introduced", "0"), ("fixed", "3.2.26"), also=("CVE-2026-1", "GHSA-a-b-c")),
    record("GHSA-a-b-c", "django", ("introduced", "0"), ("fixed", "3.2.26"), severity="HIGH", also=("CVE-2026-1",)),
)
OF_ESBUILD = record("GHSA-e-e-e", "esbuild", ("introduced", "0"), ("fixed", "0.25.0"), npm=True, severity="MODERATE")


class Source:
    """The lab's own server in this process.

    Attributes:
        instead: What it answers everything with, a status and what comes after that; None for what it knows.
        asked: The paths that were asked for.
    """

    def __init__(self, directory: Path) -> None:
        self.instead: tuple[int, bytes] | None = None
        self.asked: list[str] = []
        self._file = directory / "advisories.json"
        self.knows(*KNOWN)
        source = self

        class Handler(advisory_server.Handler):
            def do_GET(self) -> None:  # noqa: N802  npm asks for the package as well, of which an advisory is
                self._say(404, b"{}")

            def do_POST(self) -> None:  # noqa: N802  the base class's name
                source.asked.append(self.path)
                if source.instead is None:
                    return super().do_POST()
                self.rfile.read(int(self.headers["Content-Length"]))
                return self._say(*source.instead)

            def _say(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = advisory_server.Server(self._file, ("127.0.0.1", 0))
        self._server.RequestHandlerClass = Handler
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def osv(self) -> str:
        return self.address + advisory_server.OSV

    def knows(self, *records: dict[str, Any]) -> None:
        self._file.write_text(json.dumps(records))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    source = Source(tmp_path)
    yield source
    source.close()


# Python ---------------------------------------------------------------------------------------------------------------


class Backend:
    name = "backend_1"


@pytest.fixture
def look(source: Source, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Audit]:
    """Looks packages up as if pip had listed them in a container."""

    def look(*there: tuple[str, str], address: str = "", seconds: float = 60) -> Audit:
        listed = [{"name": name, "version": version} for name, version in there]
        monkeypatch.setattr(of_python, "installed", lambda *_: listed)
        return python_audit(None, Backend(), "python3", address or source.osv, seconds)  # type: ignore[arg-type]

    return look


def test_python_packages_are_looked_up_and_nothing_is_known_of_them(
    look: Callable[..., Audit], source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_AUDIT_OUTPUT", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PIP_AUDIT_FORMAT", "markdown")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    found = look(*THERE)
    found.must_be_whole()
    assert (found.advisories, found.packages, found.audited, found.skipped) == ((), 3, 3, ())
    assert found.looked_at == f"3 Python packages in backend_1, 3 looked up by {found.auditor}"
    assert found.said == "none of 3 Python packages has a known advisory"
    assert found.notes == (
        "the source was tried, and knows advisories of jinja2 2.10, pyyaml 5.3",
        "looked up without what stands behind the plus: lz4 4.0.2+dfsg",
    )
    assert len(source.asked) == 5
    assert not (tmp_path / "elsewhere").exists()
    assert not list((tmp_path / "scratch").iterdir())


def test_what_is_known_of_a_python_package_is_one_advisory_under_all_its_names(
    look: Callable[..., Audit], source: Source
) -> None:
    source.knows(*KNOWN, *OF_DJANGO)
    (one,) = look(*THERE).advisories
    assert {one.id, *one.aliases} == {"PYSEC-2026-1", "CVE-2026-1", "GHSA-a-b-c"}
    assert (one.package, one.installed, one.severity, one.fixed) == ("django", "3.2.25", "high", "3.2.26")


def test_what_is_broken_is_broken_though_something_was_not_looked_up(look: Callable[..., Audit]) -> None:
    found = look(("jinja2", "2.9"), ("odd", "0.0.0-unknown"), ("-r /etc/passwd", "1"), ("a", "1"), ("A", "2"))
    assert [one.package for one in found.advisories] == ["jinja2"]
    assert found.said.startswith("1 advisory of 1 of 5 Python packages: jinja2 2.9 (GHSA-462w-v97r-4m45, high)")
    assert found.known == ("pyyaml 5.3",), "what is installed isn't asked for in another version"
    assert [name for name, _ in found.skipped] == ["odd", "'-r /etc/passwd'", "A 2"]
    assert found.audited == 2
    assert found.findings[0][0] == "GHSA-462w-v97r-4m45"
    assert found.findings[1] == ("odd, which wasn't looked up",), "a waiver of the advisory doesn't cover that"
    assert found.notes[0].startswith("not looked up: odd ('0.0.0-unknown' is no version")
    with pytest.raises(CannotTell, match=r"3 of 5 Python packages in backend_1 weren't looked up: odd \('0.0.0-unk"):
        found.must_be_whole()


def test_a_source_that_knows_nothing_cannot_tell(look: Callable[..., Audit], source: Source) -> None:
    source.instead = (200, b"{}")
    with pytest.raises(CannotTell, match=r"told of no advisory of jinja2 2\.10 or pyyaml 5\.3, and everybody knows"):
        look(*THERE).must_be_whole()


def test_a_source_of_a_schema_that_pip_audit_passes_over_cannot_tell(
    look: Callable[..., Audit], source: Source
) -> None:
    source.knows(*({**one, "schema_version": "2.0.0"} for one in (*KNOWN, *OF_DJANGO)))
    found = look(*THERE)
    assert (found.advisories, found.known) == ((), ())
    with pytest.raises(CannotTell, match="told of no advisory"):
        found.must_be_whole()


@pytest.mark.parametrize(
    ("status", "content", "why"),
    [
        (503, b"", "503 Server Error: Service Unavailable for url"),
        (200, b'{"next_page_token": "x"}', "KeyError: 'vulns'"),
    ],
)
def test_a_source_that_does_not_answer_as_osv_cannot_tell(
    look: Callable[..., Audit], source: Source, status: int, content: bytes, why: str
) -> None:
    source.instead = (status, content)
    with pytest.raises(CannotTell, match=f"couldn't look anything up at {source.osv}: {why}") as raised:
        look(*THERE)
    assert "dependencies.advisories" in raised.value.mend


def test_a_source_that_is_gone_cannot_tell(look: Callable[..., Audit], source: Source) -> None:
    source.close()
    with pytest.raises(CannotTell, match=r"\[Errno 111\] Connection refused$"):
        look(*THERE)


def test_a_pip_audit_that_does_not_end_cannot_tell(look: Callable[..., Audit]) -> None:
    with pytest.raises(CannotTell, match=r"pip-audit did not end within 10 ms; it was to ask http://127"):
        look(*THERE, seconds=0.01)


def test_a_pip_audit_that_is_not_there_cannot_tell(look: Callable[..., Audit], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(of_python, "version", missing)
    with pytest.raises(CannotTell, match="isn't installed beside these checks") as raised:
        look(*THERE)
    assert raised.value.mend == "pip install '.[audit]'"


def test_a_pip_that_lists_nothing_cannot_tell(look: Callable[..., Audit]) -> None:
    with pytest.raises(CannotTell, match="lists no package"):
        look()


def test_what_pip_audit_skips_or_does_not_mention_was_not_looked_up() -> None:
    asked, _ = _to_be_asked([{"name": name, "version": "1"} for name in ("a", "b", "c")])
    answer: dict[str, dict[str, Any]] = {"a": {"version": "1", "vulns": []}, "b": {"skip_reason": "not on PyPI"}}
    assert _held_against(asked, answer) == ([], [("b", "not on PyPI"), ("c", "pip-audit doesn't mention it")])


def test_without_a_severity_it_is_an_advisory_all_the_same(source: Source) -> None:
    asked, _ = _to_be_asked([{"name": "django", "version": "3.2.25"}])
    found = [(asked["django"], {"id": "X-1", "fix_versions": []})]
    source.close()
    ((one,), (note,)) = _with_severities(found, source.osv, 5)
    assert (one.severity, one.fixed) == ("unknown", "")
    assert note == "their severity couldn't be asked for: [Errno 111] Connection refused"


def test_a_severity_that_is_only_a_vector_is_shown_as_one(source: Source) -> None:
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"
    source.knows({**OF_DJANGO[0], "severity": [{"type": "CVSS_V3", "score": vector}]})
    asked, _ = _to_be_asked([{"name": "django", "version": "3.2.25"}])
    ((one,), notes) = _with_severities([(asked["django"], {"id": "PYSEC-2026-1"})], source.osv, 5)
    assert (one.severity, notes) == (vector, ())


def test_a_password_in_what_it_says_is_not_repeated() -> None:
    complaint = (
        "Traceback …\nrequests.exceptions.ProxyError: HTTPSConnectionPool(host='api.osv.dev', port=443): Max retries "
        "exceeded with url: http://me:hunter2@proxy.test/ (Caused by ProxyError('Cannot connect'))\n"
    )
    assert "hunter2" not in _why(complaint, 1)
    assert _why("ERROR:pip_audit._cli:Could not connect to OSV's vulnerability feed\n", 1).startswith("Could not")
    assert _why("requests.exceptions.JSONDecodeError: Expecting value: line 1\n", 1) == "Expecting value: line 1"
    assert _why("", 3) == "it ended with status 3"


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12) | st.from_regex(r"\A[0-9.]{1,6}(\+x)?\Z"))))
def test_every_package_is_asked_for_or_skipped_and_none_is_an_option_of_pip(there: list[tuple[str, str]]) -> None:
    asked, skipped = _to_be_asked([{"name": name, "version": version} for name, version in there])
    assert len(asked) + len(skipped) <= len(there)
    assert bool(asked or skipped) == bool(there)
    for one in asked.values():
        assert Requirement(one.line).name == one.name


# npm ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def frontend(tmp_path: Path, source: Source) -> Path:
    """A directory with a lock file: one package for the pages, two to build them, one of which needs the other."""
    directory = tmp_path / "front end"
    directory.mkdir()
    (directory / ".npmrc").write_text(f"registry={source.address}/npm/\n")
    wanted = {"dependencies": {"left-pad": "^1.0.0"}, "devDependencies": {"builder": "^1.0.0"}}
    (directory / "package.json").write_text(json.dumps({"name": "x", "version": "1.0.0", **wanted}))
    packages = {
        "": wanted,
        "node_modules/left-pad": {"version": "1.3.0"},
        "node_modules/builder": {"version": "1.0.0", "dev": True, "dependencies": {"esbuild": "^0.19.0"}},
        "node_modules/esbuild": {"version": "0.19.12", "dev": True},
    }
    lock(directory, packages=packages, lockfileVersion=3)
    return directory


def lock(directory: Path, **content: Any) -> None:  # noqa: ANN401  JSON
    (directory / "package-lock.json").write_text(json.dumps({"name": "x", "version": "1.0.0", **content}))


def audited(directory: Path, npm: str = "npm", least: Severity = MEDIUM, seconds: float = 60) -> Audit:
    return npm_audit(HOST, directory, npm, least, seconds)


def test_npm_packages_are_looked_up_and_nothing_is_known_of_them(
    frontend: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    before = fingerprints(frontend)
    found = audited(frontend)
    found.must_be_whole()
    assert (found.advisories, found.below, found.packages, found.audited) == ((), (), 3, 3)
    assert found.looked_at == f"3 npm packages in {frontend}, 3 looked up by {found.auditor}"
    assert found.auditor.startswith("npm 1")
    assert found.said == "none of 3 npm packages has a known advisory of severity medium or worse"
    assert found.notes == ("the source was tried, and knows advisories of minimist 0.0.8, growl 1.9.2",)
    assert source.asked == [advisory_server.NPM]
    assert fingerprints(frontend) == before
    assert not list((tmp_path / "scratch").iterdir())


def test_what_builds_the_pages_counts_whatever_the_environment_leaves_out(
    frontend: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_ENV", "production")
    with (frontend / ".npmrc").open("a") as settings:
        settings.write("omit=dev\naudit=false\n")
    source.knows(*KNOWN, OF_ESBUILD)
    found = audited(frontend)
    assert found.advisories == (
        Advisory(
            "GHSA-e-e-e",
            "esbuild",
            "0.19.12",
            "medium",
            "npm knows no fix; affected: >=0 <0.25.0",
            found.advisories[0].aliases,
            "esbuild: what the lab says of it",
        ),
    )
    assert found.said.startswith("1 advisory of 1 of 3 npm packages: esbuild 0.19.12 (GHSA-e-e-e, medium)")


def test_what_is_below_the_limit_is_said_and_not_broken(frontend: Path, source: Source) -> None:
    source.knows(*KNOWN, OF_ESBUILD)
    found = audited(frontend, least=Severity("high"))
    found.must_be_whole()
    assert (found.advisories, [one.id for one in found.below]) == ((), ["GHSA-e-e-e"])
    assert found.said == "none of 3 npm packages has a known advisory of severity high or worse; 1 below that"
    assert found.rows()[0]["counts"] == "no, below high"


def test_a_registry_that_knows_no_advisories_cannot_tell(frontend: Path, source: Source) -> None:
    source.instead = (200, b"null")
    with pytest.raises(CannotTell, match=r"was told of no advisory of minimist 0\.0\.8 or growl 1\.9\.2"):
        audited(frontend).must_be_whole()


@pytest.mark.parametrize(
    ("status", "content", "why"),
    [
        (404, b"{}", "404 Not Found - POST http"),
        (200, b"<html>", "invalid json response body"),
    ],
)
def test_a_registry_that_refuses_or_talks_nonsense_cannot_tell(
    frontend: Path, source: Source, status: int, content: bytes, why: str
) -> None:
    source.instead = (status, content)
    with pytest.raises(CannotTell, match=rf"npm 1[0-9.]+ couldn't look up what is in {frontend}: {why}"):
        audited(frontend)


def test_a_registry_that_is_gone_cannot_tell(frontend: Path, source: Source) -> None:
    source.close()
    with pytest.raises(CannotTell, match="ECONNREFUSED"):
        audited(frontend)


def test_npm_that_does_not_end_or_is_not_there_cannot_tell(frontend: Path) -> None:
    with pytest.raises(CannotTell, match="npm did not end within 10 ms"):
        audited(frontend, seconds=0.01)
    with pytest.raises(CannotTell, match="there is no /no/npm on the host"):
        audited(frontend, "/no/npm")


def test_without_a_lock_file_nobody_can_tell(frontend: Path) -> None:
    lock(frontend, packages={"": {}})
    with pytest.raises(CannotTell, match="names no package"):
        audited(frontend)
    (frontend / "package-lock.json").write_text("{")
    with pytest.raises(CannotTell, match=r"package-lock\.json can't be read"):
        audited(frontend)
    (frontend / "package-lock.json").unlink()
    with pytest.raises(CannotTell, match=r"there is no package-lock\.json in .*, and `npm audit` looks that up"):
        audited(frontend)
    frontend.chmod(0o700)
    with nobody(), pytest.raises(CannotTell, match="can't be read: Permission denied"):
        audited(frontend)
    with pytest.raises(CannotTell, match=r"there is no package\.json in .*/none"):
        audited(frontend / "none")


def test_a_lock_file_of_an_old_npm_is_looked_up_as_well(frontend: Path, source: Source) -> None:
    source.knows(*KNOWN, OF_ESBUILD)
    inner = {"esbuild": {"version": "0.19.12", "dev": True}}
    left = {"version": "1.3.0"}
    builder = {"version": "1.0.0", "dev": True, "requires": {"esbuild": "^0.19.0"}, "dependencies": inner}
    lock(frontend, lockfileVersion=1, requires=True, dependencies={"left-pad": left, "builder": builder})
    found = audited(frontend)
    assert (found.packages, [one.said for one in found.advisories]) == (3, ["esbuild 0.19.12 (GHSA-e-e-e, medium)"])


def test_a_directory_of_the_projects_own_is_no_package_of_a_registry(frontend: Path) -> None:
    (frontend / "package.json").write_text(json.dumps({"name": "x", "workspaces": ["own/*"]}))
    packages = {
        "": {"workspaces": ["own/*"]},
        "node_modules/pages": {"resolved": "own/pages", "link": True},
        "own/pages": {"version": "1.0.0", "dependencies": {"left-pad": "^1.0.0"}},
        "node_modules/left-pad": {"version": "1.3.0"},
    }
    lock(frontend, packages=packages, lockfileVersion=3)
    found = audited(frontend)
    found.must_be_whole()
    assert (found.packages, found.audited) == (3, 1)
    assert found.notes[-1] == "2 of them are directories of the project's own, which no registry is asked of"


def program(directory: Path, out: object, complaint: str = "") -> str:
    (script := directory / "npm").write_text(
        f"#!/bin/sh\ncat <<'E'\n{json.dumps(out)}\nE\necho '{complaint}' >&2\nexit 1\n"
    )
    script.chmod(0o755)
    return str(script)


def test_an_old_npm_is_named_with_what_it_says(frontend: Path, tmp_path: Path) -> None:
    said = {"error": {"code": "ENOAUDIT", "summary": "Your configured registry does not support audit requests."}}
    npm = program(tmp_path, said, "npm info using npm@6.14.4")
    with pytest.raises(CannotTell, match=r"npm 6\.14\.4 couldn't look up .*: Your configured registry does") as raised:
        audited(frontend, npm)
    assert "try npm 11" in raised.value.mend


def test_an_npm_that_looked_at_less_cannot_tell(frontend: Path, tmp_path: Path) -> None:
    answer: dict[str, Any] = {"vulnerabilities": {}, "metadata": {"dependencies": {"total": 4}}}
    with pytest.raises(CannotTell, match=r"npm says that it looked at 4 of 3 packages in .* and 2 more"):
        audited(frontend, program(tmp_path, answer))
    del answer["metadata"]
    with pytest.raises(CannotTell, match="looked at nobody knows how many of 3"):
        audited(frontend, program(tmp_path, answer))


def test_a_severity_that_nobody_knows_counts_and_dependents_are_named(frontend: Path, tmp_path: Path) -> None:
    via = {"source": 7, "name": "esbuild", "dependency": "esbuild", "title": "x", "severity": "dreadful", "range": "*"}
    hit = {"name": "esbuild", "via": [via], "nodes": ["node_modules/esbuild"], "fixAvailable": False}
    builder = {"name": "builder", "via": ["esbuild"], "nodes": ["node_modules/builder"]}
    found = audited(
        frontend,
        program(
            tmp_path,
            {"vulnerabilities": {"esbuild": hit, "builder": builder}, "metadata": {"dependencies": {"total": 5}}},
        ),
    )
    (one,) = found.advisories
    assert (one.id, one.severity, one.fixed) == ("npm-7", "unknown", "npm knows no fix; affected: *")
    assert found.notes == ("these depend on what has one: builder",)


def test_the_standing_versions_are_not_in_the_way_of_the_projects_own(frontend: Path) -> None:
    content = json.loads((frontend / "package-lock.json").read_text())
    content["packages"]["node_modules/minimist"] = {"version": "1.2.8"}
    lock(frontend, packages=content["packages"], lockfileVersion=3)
    found = audited(frontend)
    assert (found.advisories, found.known, found.tried) == (
        (),
        ("growl 1.9.2",),
        tuple(f"{name} {of}" for name, of in of_npm.KNOWN[1:3]),
    )


# npm in a container ---------------------------------------------------------------------------------------------------


@pytest.fixture
def inside(frontend: Path) -> Iterator[tuple[Engine, Container, Any]]:
    with with_npm(frontend) as there:
        yield there


def test_npm_in_a_container_looks_its_lock_file_up_and_writes_nothing(
    source: Source, inside: tuple[Engine, Container, Any]
) -> None:
    engine, container, made = inside
    before = changes(made)
    source.knows(*KNOWN, OF_ESBUILD)
    found = npm_audit_inside(engine, container, "/my app", "npm", MEDIUM, 60)
    assert changes(made) == before
    assert [one.said for one in found.advisories] == ["esbuild 0.19.12 (GHSA-e-e-e, medium)"]
    assert found.known == ("minimist 0.0.8", "growl 1.9.2")
    assert found.looked_at == f"3 npm packages in {container.name}:/my app, 3 looked up by {found.auditor}"
    source.instead = (HTTPStatus.OK, b"{}")
    with pytest.raises(CannotTell, match="was told of no advisory of minimist"):
        npm_audit_inside(engine, container, "/my app", "npm", MEDIUM, 60).must_be_whole()
    with pytest.raises(CannotTell, match=r"there is no package-lock\.json in .*:/none"):
        npm_audit_inside(engine, container, "/none", "npm", MEDIUM, 60)
