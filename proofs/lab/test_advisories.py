"""Who knows the lab's advisories: which records count for a version, and how it is asked."""

from __future__ import annotations

import gzip
import json
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from lab import advisories, packages, project, stack
from lab.advisory_server import NPM, OSV, Server, bulk, of_version
from lab.faults.vulnerabilities import DJANGO, ESBUILD, OF_DJANGO, OF_ESBUILD
from lab.stack import Lab
from observe.vulnerabilities import of_npm, of_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The files of a lab that doesn't stand."""
    monkeypatch.setattr(stack, "CHECKOUT", tmp_path)
    lab = Lab("knowsproof")
    lab.directory.mkdir(parents=True)
    project.write(lab)
    return lab


def names(ecosystem: str, name: str, version: str, *records: advisories.Record) -> list[str]:
    return [one["id"] for one in of_version(records or advisories.KNOWN, ecosystem, name, version)]


@pytest.mark.parametrize(
    ("version", "hit"),
    [
        ("0.3.9", False),
        ("0.4.0rc1", False),
        ("0.4.0", True),
        ("0.4.1.post1", True),
        ("0.4.2.dev1", True),
        ("0.4.2", False),
        ("none", False),
    ],
)
def test_a_python_version_lies_between_what_introduced_it_and_what_mended_it(version: str, hit: bool) -> None:
    assert bool(names("PyPI", "SQLparse", version)) is hit


@pytest.mark.parametrize(
    ("version", "hit"),
    [("1.0.0-beta.2", False), ("1.0.0-rc.1", True), ("1.0.0", True), ("1.10.0-rc.9", True), ("1.10.0", False)],
)
def test_an_npm_version_is_ordered_as_semver_has_it(version: str, hit: bool) -> None:
    one = advisories.record("X", "x", ("introduced", "1.0.0-rc.1"), ("fixed", "1.10.0"), npm=True)
    assert bool(names("npm", "x", version, one)) is hit
    assert names("npm", "X", version, one) == []
    assert names("PyPI", "x", version, one) == []


def test_it_can_come_back_and_have_a_last_version() -> None:
    events = (("introduced", "1"), ("fixed", "2"), ("introduced", "3"), ("last_affected", "4"))
    one = advisories.record("X", "x", *events)
    hit = [version for version in ("0.9", "1.5", "2", "2.9", "3", "4", "4.0.1") if names("PyPI", "x", version, one)]
    assert hit == ["1.5", "3", "4"]


def test_a_listed_version_counts_whatever_the_ranges_say() -> None:
    one = advisories.record("X", "x", ("introduced", "9"))
    one["affected"][0]["versions"] = ["odd-1"]
    assert names("PyPI", "x", "odd-1", one) == ["X"]


def test_npm_is_told_of_what_it_asked_for_alone() -> None:
    told = bulk([*advisories.KNOWN, OF_ESBUILD], {"esbuild": ["0.19.12", "0.25.0"], "left-pad": ["1.3.0"]})
    (one,) = told.pop("esbuild")
    assert told == {}
    assert (one["url"], one["severity"], one["vulnerable_versions"]) == (
        "https://github.com/advisories/GHSA-67mh-4wv8-2f99",
        "moderate",
        ">=0 <0.25.0",
    )


def test_nothing_is_known_of_a_healthy_lab_and_everything_that_sources_are_tried_by_is(lab: Lab) -> None:
    for name, version in packages.wanted_by_frontend(lab).items():
        assert not names("npm", name, version)
    assert not names("PyPI", *DJANGO)
    assert all(names("PyPI", *one) for one in of_python.KNOWN[: of_python.TRIED])
    assert all(names("npm", *one) for one in of_npm.KNOWN[: of_npm.TRIED])
    assert names("PyPI", *DJANGO, OF_DJANGO)
    assert names("npm", *ESBUILD, OF_ESBUILD)


def test_the_checks_are_led_to_it_by_the_package_index(lab: Lab) -> None:
    assert f'advisories = "http://127.0.0.1:{lab.packages_port}{OSV}"' in lab.target_file.read_text()
    for path in (OSV, NPM):
        assert any(path.startswith(place) for place in ("/osv/", "/npm/-/npm/v1/security/"))
    assert packages.CONFIGURATION.count("proxy_pass $advisories;") == 2


def test_what_is_published_is_known(lab: Lab) -> None:
    advisories.publish(lab, OF_DJANGO)
    assert advisories.published(lab) == [OF_DJANGO]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (file := tmp_path / "advisories.json").write_text(json.dumps(advisories.KNOWN))
    server = Server(file, ("127.0.0.1", 0))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_it_is_asked_as_osv_and_as_npms_registry(server: str) -> None:
    def ask(path: str, content: bytes, **headers: str) -> object:
        request = urllib.request.Request(f"{server}{path}", data=content, headers=headers)  # noqa: S310  ours
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
            return json.load(answer)

    def question(version: str) -> bytes:
        return json.dumps({"package": {"name": "jinja2", "ecosystem": "PyPI"}, "version": version}).encode()

    assert ask(OSV, question("2.10")) == {"vulns": [advisories.KNOWN[5]]}
    assert ask(OSV, question("3.1.4")) == {}
    packed = gzip.compress(b'{"minimist": ["0.0.8"], "x": ["1.0.0"]}')
    told = ask(NPM, packed, **{"Content-Encoding": "gzip"})
    assert isinstance(told, dict)
    assert list(told) == ["minimist"]
    for path, content, status in (("/v1/query", b"{}", 404), (OSV, b"{", 400), (OSV, b"[]", 400)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(path, content)
        assert refused.value.code == status
        refused.value.close()
