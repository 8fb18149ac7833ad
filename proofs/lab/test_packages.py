"""What the lab's own package index is made of, without a container."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from lab import packages, ports, project, stack
from lab.stack import Lab

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The files of a lab whose backend has two packages."""
    monkeypatch.setattr(stack, "CHECKOUT", tmp_path)
    lab = Lab("pagesproof")
    lab.directory.mkdir(parents=True)
    project.write(lab)
    monkeypatch.setattr(packages, "installed", lambda _: {"Zope.Interface_x": "5.5.2", "lz4": "4.0.2+dfsg"})
    return lab


def test_a_package_has_a_page_under_its_normalized_name(lab: Lab) -> None:
    packages.write(lab)
    page = packages.python_page(lab, "zope-interface.X")
    assert page.parent.name == "zope-interface-x"
    assert ">Zope_Interface_x-5.5.2-py3-none-any.whl</a>" in page.read_text()
    assert '"/files/lz4-4.0.2%2Bdfsg-py3-none-any.whl#sha256=' in packages.python_page(lab, "lz4").read_text()


def test_what_the_frontend_names_is_there_in_its_version(lab: Lab) -> None:
    packages.write(lab)
    wanted = packages.wanted_by_frontend(lab)
    assert wanted
    for name, version in wanted.items():
        document = json.loads(packages.npm_page(lab, name).read_text())
        assert document["dist-tags"] == {"latest": version}
        assert set(document["versions"]) == {version}
    locked = json.loads((lab.project_directory / "frontend" / "package-lock.json").read_text())
    assert {name: locked["packages"][f"node_modules/{name}"]["version"] for name in wanted} == wanted


def test_a_newer_version_is_the_latest(lab: Lab) -> None:
    packages.publish_npm(lab, "esbuild", "0.19.12", "0.25.12")
    document = json.loads(packages.npm_page(lab, "esbuild").read_text())
    assert document["dist-tags"] == {"latest": "0.25.12"}
    assert set(document["versions"]) == {"0.19.12", "0.25.12"}


def test_nginx_may_read_it_whatever_the_umask(lab: Lab) -> None:
    before = os.umask(0o077)
    try:
        packages.write(lab)
    finally:
        os.umask(before)
    for path in packages.directory(lab).rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o755 if path.is_dir() else 0o644), path


def test_npm_on_the_host_is_led_to_it(lab: Lab) -> None:
    settings = (lab.project_directory / "frontend" / ".npmrc").read_text()
    assert f"registry={lab.npm_registry}\n" in settings


def test_a_lab_made_before_it_gets_a_port_and_keeps_the_others() -> None:
    kept = {"https": 1, "http": 2, "database": 3}
    completed = ports.complete("pagesproof", kept)
    assert kept.items() <= completed.items()
    assert ports.FIRST <= completed["packages"] <= ports.LAST
    assert ports.complete("pagesproof", completed) == completed
