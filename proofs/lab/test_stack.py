"""Names, ports and files of a lab."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab import ports, project
from lab.progress import LabError
from lab.stack import Lab

TEMPLATES = Path(project.HERE) / "templates"
VALUES = {
    name: "1"
    for template in TEMPLATES.rglob("*")
    if template.is_file()
    for name in project.PLACEHOLDER.findall(template.read_text())
}


def compose() -> dict[str, dict[str, object]]:
    text = (TEMPLATES / "project" / "docker-compose.yml").read_text()
    services: dict[str, dict[str, object]] = yaml.safe_load(project.fill(text, VALUES))["services"]
    return services


@pytest.mark.parametrize("name", ["synklab", "a1", "x" * 31])
def test_a_plain_name_is_taken(name: str) -> None:
    assert Lab(name).domain == f"{name}.test"


@pytest.mark.parametrize("name", ["", "a", "1lab", "Lab", "my-lab", "my_lab", "lab/..", "x" * 32, "lab\n", "läb"])
def test_a_name_that_would_not_do_everywhere_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="no name for a lab"):
        Lab(name)


def test_a_lab_that_never_stood_says_how_to_bring_it_up() -> None:
    with pytest.raises(LabError, match="python -m lab up"):
        _ = Lab("neverstood").https_port


@given(st.from_regex(r"[a-z][a-z0-9]{1,30}", fullmatch=True))
def test_ports_of_a_name_lie_in_the_range_and_stay_the_same(name: str) -> None:
    groups = (ports.LAST - ports.FIRST + 1) // len(ports.NAMES)
    group = ports.preferred_group(name, groups)
    assert 0 <= group < groups
    assert group == ports.preferred_group(name, groups)


def test_two_labs_ask_for_different_ports_first() -> None:
    groups = (ports.LAST - ports.FIRST + 1) // len(ports.NAMES)
    assert ports.preferred_group("synklab", groups) != ports.preferred_group("labone", groups)


def test_a_template_that_asks_for_the_unknown_is_refused() -> None:
    with pytest.raises(LabError, match="@nothing@"):
        project.fill("x @nothing@", {})


def test_an_address_keeps_its_at_sign() -> None:
    assert project.fill("security@@domain@", {"domain": "a.test"}) == "security@a.test"


@pytest.mark.parametrize("one", ["db", "redis", "backend", "nginx", "backup"])
def test_every_service_is_brought_back_bounded_and_logs_with_rotation(one: str) -> None:
    wanted = compose()[one]
    assert wanted["restart"] == "unless-stopped"
    assert "mem_limit" in wanted
    assert wanted["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}


def test_every_port_is_published_on_loopback_alone() -> None:
    published = [port for service in compose().values() for port in service.get("ports", [])]  # type: ignore[attr-defined]
    assert len(published) == 3
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_target_file_is_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.stack.CHECKOUT", tmp_path)
    lab = Lab("paperlab")
    lab.directory.mkdir(parents=True)
    lab.remember(ports={"https": 1, "http": 2, "database": 3, "packages": 4})
    target = tomllib.loads(project.target_toml(lab))
    assert target["site"]["connect_to"] == "127.0.0.1:1"
    assert target["database"]["user"] == "ops_checks"
    assert target["project"]["directory"] == str(lab.project_directory)
