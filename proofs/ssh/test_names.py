"""Files of the host are read right whatever they are called; no name is taken for an option or run by a shell."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from observe.files import path_of
from observe.ssh import Ssh
from observe.ssh_files import SshFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.ssh_door import Door

NAMES = st.binary(min_size=1, max_size=60).map(lambda name: name.replace(b"/", b"-").replace(b"\0", b" "))
WORDS = st.lists(
    st.sampled_from(
        [
            b"-",
            b"--",
            b"'",
            b'"',
            b" ",
            b"\n",
            b"\\",
            b"$(touch ran)",
            b"`touch ran`",
            b";touch ran;",
            b"*",
            b"~",
            b"%s",
            b"\t",
            b"\xff",
            "ü".encode(),
            b"|",
            b"&",
            b"a",
        ]
    ),
    min_size=1,
    max_size=6,
).map(b"".join)
AS_THEY_COME = [
    b"-rf",
    b"--help",
    b"a b",
    b"it's",
    b'"',
    b"a\nb",
    b"$(touch ran)",
    b"`touch ran`",
    b"; touch ran",
    b"*",
    b"\\",
]


@pytest.fixture(scope="module")
def ssh(door: Door) -> Iterator[Ssh]:
    """The connection."""
    ssh = Ssh(door.url, 10.0, config=door.config())
    yield ssh
    ssh.close()


@pytest.fixture(scope="module")
def place(door: Door) -> Path:
    """A directory that the account may read."""
    place = door.directory / "names"
    place.mkdir(mode=0o755)
    return place


@settings(max_examples=15, deadline=None)
@given(
    names=st.lists(
        st.one_of(NAMES, WORDS).filter(lambda name: name not in {b".", b".."}), min_size=1, max_size=4, unique=True
    )
)
@example(names=AS_THEY_COME)
def test_files_are_read_right_whatever_they_are_called(names: list[bytes], ssh: Ssh, place: Path, door: Door) -> None:
    files = SshFiles(ssh)
    contents = {name: hashlib.sha256(name).digest() * (1 + name[0]) for name in names}
    try:
        for name, content in contents.items():
            (place / os.fsdecode(name)).write_bytes(content)
        listed = dict(files.listed(str(place)))
        assert set(map(os.fsencode, listed)) == set(names)
        for shown, seen in listed.items():
            content = contents[os.fsencode(shown)]
            path = path_of(files)(place) / shown
            assert seen.st_size == path.stat().st_size == len(content)
            assert stat.S_ISREG(path.stat().st_mode)
            assert path.read_bytes() == content
            assert files.sha256(str(path)) == hashlib.sha256(content).hexdigest()
    finally:
        for name in names:
            (place / os.fsdecode(name)).unlink(missing_ok=True)
    assert [one.name for one in (door.directory / "home").iterdir() if one.name == "ran"] == []


def test_a_directory_is_listed_whatever_it_is_called(ssh: Ssh, place: Path) -> None:
    files = SshFiles(ssh)
    for name in map(os.fsdecode, AS_THEY_COME):
        directory = place / name
        directory.mkdir()
        (directory / name).write_text("here", encoding="ascii")
        try:
            assert [(one, seen.st_size) for one, seen in files.listed(str(directory))] == [(name, 4)]
        finally:
            (directory / name).unlink()
            directory.rmdir()
