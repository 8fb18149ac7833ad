"""Targets for a fleet: the one standing lab under several names, and an address that accepts and says nothing."""

from __future__ import annotations

import socket
import sqlite3
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from proofs.harness import derived_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.stack import Lab


class BlackHole:
    """A port that accepts and says nothing, until it is closed."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._door.getsockname()[1]
        self.caught: list[socket.socket] = []
        self._open = True
        threading.Thread(target=self._go_on, daemon=True).start()

    def _go_on(self) -> None:
        while self._open:
            with suppress(OSError):
                self.caught.append(self._door.accept()[0])

    def close(self) -> None:
        """Let all go, and nobody in any more."""
        self._open = False
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        for one in [self._door, *self.caught]:
            one.close()


@pytest.fixture
def black_hole() -> Iterator[BlackHole]:
    """One that is closed in the end."""
    made = BlackHole()
    yield made
    made.close()


@pytest.fixture
def own_history(history: Path, tmp_path: Path) -> Path:
    """A copy of what is known of the lab: what earlier runs did to it is known as the suite's."""
    copy = tmp_path / "history.sqlite"
    with closing(sqlite3.connect(history)) as source, closing(sqlite3.connect(copy)) as made:
        source.backup(made)
    return copy


@pytest.fixture
def target_named(lab: Lab, own_history: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a target file of the lab's, under another name and with changes."""

    def make(name: str, **changes: object) -> Path:
        directory = tmp_path / name
        directory.mkdir()
        own = {"records.attestations": str(lab.target_file.with_name("attestations.toml"))}
        own |= {"records.waivers": str(lab.target_file.with_name("waivers.toml"))}
        return derived_target(
            lab.target_file, directory, {"name": name, "report.history": str(own_history), **own, **changes}
        )

    return make


@pytest.fixture
def lost_in(target_named: Callable[..., Path]) -> Callable[[str, BlackHole], Path]:
    """Makes a target file of a stack whose engine and site lie behind a black hole, which is waited for long."""

    def make(name: str, black_hole: BlackHole) -> Path:
        there = f"127.0.0.1:{black_hole.port}"
        return target_named(
            name,
            **{
                "engine.url": f"tcp://{there}",
                "site.connect_to": there,
                "site.http_connect_to": there,
                "timeouts.engine": "2 min",
                "timeouts.site": "2 min",
            },
        )

    return make
