"""Programs that the lab needs on this machine, by Debian's packages, and without a service being started."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.progress import LabError, run
from lab.turns import alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

POLICY = Path("/usr/sbin/policy-rc.d")
"""What Debian's packages ask before they start a service: 101 forbids it."""


def ensure_installed(missing: Callable[[], Sequence[str]], how: str = "") -> bool:
    """Install what is missing; what is there stays as it is.

    Args:
        missing: Says which packages are to be installed; asked again when it is our turn, since somebody else may have
            done it meanwhile.
        how: What to do where it can't be done from here, for the message.

    Returns:
        Whether anything was installed.

    Raises:
        LabError: It can't be done from here, or installing failed.
    """
    if not (packages := missing()):
        return False
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        said = f"{', '.join(packages)} isn't installed, and can be from here only as root on Debian or Ubuntu"
        raise LabError(f"{said}: {how}" if how else said)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
    # Whoever else installs something has a lock of dpkg's; the one on apt's lists isn't waited for.
    wait = ("-o", "DPkg::Lock::Timeout=120")
    with alone("apt"):
        if not (packages := missing()):
            return False
        run(["apt-get", "update"], env=environment)
        with _no_service_started():
            run(["apt-get", *wait, "install", "--yes", "--no-install-recommends", *packages], env=environment)
    return True


@contextmanager
def _no_service_started() -> Iterator[None]:
    """Keep packages from starting their services, on the machine's own ports."""
    if POLICY.exists():
        yield  # whoever wrote that has a policy of their own
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
