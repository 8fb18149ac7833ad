"""Faults of the project's security check: it finds something, hangs, ends early, or isn't there."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.faults.fault import Fault, FaultDidNotTake, Took
from lab.faults.targets import derived

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.stack import Lab

SCRIPT = "pre-deployment-security-check.sh"
PAPERS = 'echo "Papers"\n'
SHORT = '[timeouts]\nsecurity_script = "2 s"\n'


def check_fails(lab: Lab) -> Iterator[Took]:
    """Let everybody on the host read the file with the secrets; Compose and containers don't mind."""
    file = lab.project_directory / ".env.production"
    before = f"{file.name} has mode {_mode(file):o}"
    mode = _mode(file)
    try:
        file.chmod(0o644)
        yield Took(before, f"{file.name} has mode {_mode(file):o}")
    finally:
        file.chmod(mode)


def hangs(lab: Lab) -> Iterator[Took]:
    """Have it wait for ever before its last group of checks, as one does that asks somebody who doesn't answer."""
    script = lab.project_directory / SCRIPT
    with _edited(script, PAPERS, f"{PAPERS}sleep 1000 &\nwait\n") as (before, after), derived(lab, SHORT) as target:
        yield Took(before, after, target)


def ends_early(lab: Lab) -> Iterator[Took]:
    """Have it end before its last group of checks, with the status of something that went well."""
    script = lab.project_directory / SCRIPT
    with _edited(script, PAPERS, f"{PAPERS}true || true\nexit\n") as (before, after):
        yield Took(before, after)


def not_there(lab: Lab) -> Iterator[Took]:
    """Take it away."""
    script = lab.project_directory / SCRIPT
    aside = script.with_name(f".{SCRIPT}.aside")
    before = f"{SCRIPT} is there: {script.exists()}"
    script.rename(aside)
    try:
        yield Took(before, f"{SCRIPT} is there: {script.exists()}")
    finally:
        aside.rename(script)


@contextmanager
def _edited(file: Path, old: str, new: str) -> Iterator[tuple[str, str]]:
    """Have a file changed in one place; afterwards it is as it was, byte for byte.

    Yields:
        How many lines it had, and has.

    Raises:
        FaultDidNotTake: there is no such place.
    """
    content, stat = file.read_text(), file.stat()
    if old not in content:
        raise FaultDidNotTake(f"{file} has no {old!r}")
    try:
        file.write_text(content.replace(old, new, 1))
        yield tuple(f"{file.name} has {text.count(chr(10))} lines" for text in (content, file.read_text()))  # type: ignore[misc]
    finally:
        file.write_text(content)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


SLUG = "security-script"

FAULTS = (
    Fault("security-check-fails", (SLUG,), "The security script finds the secrets readable by everybody.", check_fails),
    Fault("security-script-hangs", (SLUG,), "The security script waits for ever.", hangs),
    Fault("security-script-ends-early", (SLUG,), "The security script ends 0 before its summary.", ends_early),
    Fault("security-script-gone", (), "The security script isn't there.", not_there, (SLUG,)),
)
