"""Where the engine is: on this machine, or over SSH by the settings, a variable or Docker's context."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from observe.engine_address import over_ssh
from observe.errors import CannotTell

if TYPE_CHECKING:
    from pathlib import Path


def context(directory: Path, name: str, host: str, *, current: bool) -> None:
    """Write a context as `docker context create` does."""
    meta = directory / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
    meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}), encoding="utf-8")
    if current:
        (directory / "config.json").write_text(json.dumps({"currentContext": name}), encoding="utf-8")


@pytest.mark.parametrize(
    ("url", "variables", "found"),
    [
        ("ssh://ops@web1", {}, "ssh://ops@web1"),
        ("", {"DOCKER_HOST": "ssh://ops@web1:2222"}, "ssh://ops@web1:2222"),
        ("unix:///run/docker.sock", {"DOCKER_HOST": "ssh://ops@web1"}, ""),
        ("", {"DOCKER_HOST": "tcp://127.0.0.1:2375"}, ""),
        ("", {}, ""),
    ],
)
def test_settings_win_over_the_variable(tmp_path: Path, url: str, variables: dict[str, str], found: str) -> None:
    assert over_ssh(url, {"HOME": str(tmp_path), **variables}) == found


@pytest.mark.parametrize("host", ["ssh://ops@web1", "unix:///var/run/docker.sock"])
def test_the_current_context_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    context(tmp_path, "far", host, current=True)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert over_ssh("") == (host if host.startswith("ssh://") else "")


def test_a_context_that_is_gone_is_not_taken_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    with pytest.raises(CannotTell, match="context 'gone' can't be loaded"):
        over_ssh("")
    assert over_ssh("unix:///var/run/docker.sock") == "", "what the settings say comes first"
