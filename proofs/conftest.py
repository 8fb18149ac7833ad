"""The lab that the proofs stand on. It is never skipped: where there is no engine, the proofs fail."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab import bring_up
from lab.stack import Lab

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from proofs.observe.servers import Authority

NAME = os.environ.get("PROOFS_LAB") or (
    f"proofs{zlib.crc32(str(Path(__file__).parent).encode()):08x}{os.environ.get('PROOFS_PART', '')}"
)
"""A lab of this checkout's own, and of the part that runs beside others: two checkouts can be proven at once."""
BESIDE = {"": "", "gw0": ""}
"""What is added to that name by the worker: the first takes the lab that one process alone would."""
KEEP = os.environ.get("PROOFS_KEEP_LAB", "")
"""Set to anything to leave the lab standing, for working on a proof."""


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    """A healthy lab of the proofs' own."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    lab = Lab(NAME + BESIDE.get(worker, worker))
    with capture.global_and_fixture_disabled():  # building takes a while: show it
        bring_up.up(lab)
    yield lab
    if not KEEP:
        bring_up.down(lab, keep_images=True)


@pytest.fixture(scope="session")
def history(lab: Lab) -> Path:
    """One history for all runs against the lab, its own: what an earlier run did is known as ours."""
    return lab.history_file


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A throw-away CA for servers on loopback."""
    from proofs.observe.servers import Authority

    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def tls(authority: Authority) -> ssl.SSLContext:
    """What such a server speaks TLS with."""
    return authority.context()


THE_WHOLE_ENGINE = frozenset(
    {
        "test_confinement",
        "test_disk_usage",
        "test_engine",
        "test_published",
        "test_restore_drill",
        "test_restore_scratch",
        "test_scan",
        "test_window",
    }
)
"""Files whose proofs look at all that an engine has, or are late when the machine is busy: never two at once."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:  # noqa: ANN401  xdist's, which has no types
    """Keep a file's proofs in one process, and those that look at the whole engine in one as well."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "engine" if Path(file).stem in THE_WHOLE_ENGINE else file

    return ByFile(config, log)
