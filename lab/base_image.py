"""The base image of all others: present, pulled, or made from the distribution's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.debian import ensure_installed
from lab.engine import client
from lab.progress import LabError, run
from lab.turns import alone

BASE = "debian:bookworm-slim"
SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
MADE_BY_LAB = "org.synk.lab.base"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PULL_SECONDS = 20.0


def ensure_base() -> str:
    """Make sure that the base image is there.

    Returns:
        "already there", "pulled" or "made with debootstrap".

    Raises:
        LabError: there is none, it cannot be pulled, and it cannot be made here.
    """
    if _present():
        return "already there"
    # Pulling, installing and making take a while, and twice as long for two at once.
    with alone("base"):
        return _brought()


def _brought() -> str:
    if _present():
        return "already there"
    if _pulled():
        return "pulled"
    if os.geteuid() != 0:
        raise LabError(f"{BASE} can be neither pulled nor made here: making it needs root on Debian or Ubuntu")
    ensure_installed(
        lambda: [] if shutil.which("debootstrap") else ["debootstrap"], f"{BASE} can't be pulled, and it makes one"
    )
    _make()
    return "made with debootstrap"


def remove_base_if_ours() -> bool:
    """Remove the base image when a lab made it; True when it did."""
    import docker

    try:
        image = client().images.get(BASE)
    except docker.errors.ImageNotFound:
        return False
    if MADE_BY_LAB not in image.labels:
        return False
    try:
        client().images.remove(BASE)
    except docker.errors.APIError:
        # Images that are not a lab's are built on it.
        return False
    return True


def _present() -> bool:
    import docker

    try:
        client().images.get(BASE)
    except docker.errors.ImageNotFound:
        return False
    return True


def _pulled() -> bool:
    """Pull in a process of its own: the SDK's time limit is per read and a slow registry defeats it."""
    repository, _, tag = BASE.partition(":")
    program = f"import docker; docker.from_env().images.pull({repository!r}, {tag!r})"
    try:
        return run([sys.executable, "-c", program], timeout=PULL_SECONDS, check=False).returncode == 0
    except LabError:
        return False


def _make() -> None:
    """Bootstrap a minimal system and import it, packed on the way without a file in between."""
    repository, _, tag = BASE.partition(":")
    with tempfile.TemporaryDirectory(prefix="lab-base-") as scratch:
        root = Path(scratch) / "root"
        run(["debootstrap", "--variant=minbase", SUITE, str(root), MIRROR])
        for leftover in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
            shutil.rmtree(root / leftover, ignore_errors=True)
        (root / "var/cache/apt/archives/partial").mkdir(parents=True)
        (root / "var/lib/apt/lists/partial").mkdir(parents=True)
        command = ["tar", "--create", "--numeric-owner", "--one-file-system", "--directory", str(root), "."]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as pack:
            changes = [f"LABEL {MADE_BY_LAB}=true", f"ENV PATH={SEARCH_PATH}", 'CMD ["bash"]']
            client().api.import_image_from_stream(pack.stdout, repository=repository, tag=tag, changes=changes)
        if pack.returncode != 0 or not _present():
            raise LabError("importing the base image that debootstrap made failed")
