"""Compose files that are hard to read: the names of their services, or what couldn't be read and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from discover.services_named import names_in, services_named

if TYPE_CHECKING:
    from pathlib import Path

HARD = {
    "an unquoted item with a colon": (
        "services:\n  db:\n    image: x\n    environment:\n      - KEY=${VAR:?set it: now}\n  web:\n    image: y\n",
        ["db", "web"],
    ),
    "merge keys and anchors": (
        "x: &all\n  init: true\nservices:\n  db:\n    <<: *all\n  web: &w\n    <<: [*all, *all]\n  more:\n    <<: *w\n",
        ["db", "web", "more"],
    ),
    "extends of another file": (
        "services:\n  web:\n    extends: {file: common.yml, service: base}\n  db: {image: x}\n",
        ["web", "db"],
    ),
    "quoted names and comments": (
        "# services:\nservices:   # all\n  'db':\n    image: x\n  # old:\n  \"web\":   # Django\n    image: y\n",
        ["db", "web"],
    ),
    "tags of Compose": (
        "services:\n  db:\n    ports: !reset []\n  web:\n    volumes: !override [a:b]\n",
        ["db", "web"],
    ),
}


@pytest.mark.parametrize("name", HARD)
def test_the_services_of_a_file_that_is_hard_to_read_are_known(tmp_path: Path, name: str) -> None:
    text, wanted = HARD[name]
    (tmp_path / "compose.yaml").write_text(text, encoding="utf-8")
    found = services_named(tmp_path)
    assert sorted(found.names) == sorted(wanted), found
    assert not found.unread
    assert sorted(names_in(text).services) == sorted(wanted), "line by line, it is the same"


BROKEN = {
    "a tab": ("services:\n  db:\n\t  image: x\n  web:\n    image: y\n", ["db", "web"], "line 3"),
    "a tab before names": ("services:\n\tdb:\n\t\timage: x\n\tweb:\n\t\timage: y\n", ["db", "web"], "line 2"),
    "a bracket": ("services:\n  db:\n    command: [a, b\n  web:\n    image: y\n", ["db", "web"], "line 4"),
    "a bare percent sign": (
        "services:\n  db:\n    image: %x\n  web:\n    image: y\nvolumes:\n  data:\n",
        ["db", "web"],
        "line 3",
    ),
    "a colon in a value": (
        "services:\n  db:\n    command: run: it\n  web:\n    image: y\n",
        ["db", "web"],
        "line 3",
    ),
    "an alias of nothing": ("services:\n  db:\n    <<: *gone\n  web:\n    image: y\n", ["db", "web"], "line 3"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_the_strict_reader_refuses_is_said_with_its_line_and_read_line_by_line(tmp_path: Path, name: str) -> None:
    text, wanted, line = BROKEN[name]
    (tmp_path / "compose.yaml").write_text(text, encoding="utf-8")
    found = services_named(tmp_path)
    assert (found.wanted, list(found.tolerant)) == (None, wanted)
    assert line in found.unread[0]
    assert "compose.yaml is no valid YAML" in found.unread[0]


def test_several_files_and_their_includes_are_read_even_if_one_is_broken(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(
        "include:\n  - path: more/db.yaml\n  - other.yaml\nservices:\n  web: {image: x}\n"
    )
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "db.yaml").write_text("services:\n  db:\n\t image: x\n")
    (tmp_path / "other.yaml").write_text("services:\n  cache:\n    image: x\n")
    (tmp_path / "compose.override.yaml").write_text("services:\n  worker:\n    image: x\n")
    found = services_named(tmp_path)
    assert sorted(found.names) == ["cache", "db", "web", "worker"]
    assert "more/db.yaml is no valid YAML in line 3" in found.unread[0]


def test_what_is_included_from_elsewhere_is_said(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(
        "include:\n  - https://me:key@example.org/a/repository.git?token=abc\nservices:\n  web:\n    image: x\n"
    )
    found = services_named(tmp_path)
    assert found.names == ("web",)
    said = "line 2: it includes https://…@example.org/a/repository.git, which lies elsewhere"
    assert any(said in one for one in found.unread), found.unread
    assert not any(word in one for word in ("token", "key@") for one in found.unread)


def test_services_of_profiles_that_are_off_are_known_and_not_wanted(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  web: {image: x}\n  debug: {image: x, profiles: [tools]}\n")
    found = services_named(tmp_path)
    assert (found.wanted, found.profiled) == ({"web": 1}, {"debug": ("tools",)})


def test_a_directory_without_a_compose_file_is_said(tmp_path: Path) -> None:
    found = services_named(tmp_path)
    assert (found.names, found.files) == ((), ())
    assert f"there is no Compose file in {tmp_path}" in found.unread[0]


def test_the_files_that_env_names_are_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SECRET=abc\nCOMPOSE_FILE=a.yml:b.yml\n")
    (tmp_path / "a.yml").write_text("services:\n  web:\n    image: x\n")
    (tmp_path / "b.yml").write_text("services:\n  db:\n\t  image: x\n")
    assert sorted(services_named(tmp_path).names) == ["db", "web"]
