"""What is known against the Python packages of a container, by pip-audit on this machine.

The container is only asked for its list of packages. pip-audit installs nothing and resolves nothing: it looks that
list up at OSV, or at whoever speaks as OSV does.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observe.deadline import TimeIsUp, within
from observe.dependencies import installed, normalized, short_reason
from observe.errors import CannotTell
from observe.program import run
from observe.vulnerabilities.audit import UNKNOWN, Advisory, Audit, some
from target.kinds import Severity, say_span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from observe.engine import Container, Engine

OSV = "https://api.osv.dev/v1/query"
KNOWN = (("jinja2", "2.10"), ("pyyaml", "5.3"), ("urllib3", "1.24.1"), ("pillow", "8.0.0"), ("django", "2.2"))
"""Versions that OSV has had advisories of for years; the first that aren't installed are asked for along with the rest.

They go through the same run: pip-audit takes `{}` for "nothing known", and passes over records of a schema that it
doesn't know yet, both without a word that could be relied on.
"""
TRIED = 2
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_COMPLAINT = re.compile(r"^(?:requests\.exceptions\.\w+|ERROR:[\w.]+): ?(?!Tip:)(?P<why>.+)$", re.MULTILINE)
_MOST = 16 * 1024 * 1024
_LONGEST = 80
_MOST_OF_TITLE = 200
_LEAST_SECONDS = 2.0


@dataclass(frozen=True)
class _Asked:
    """A package as it is looked up: `version` is what its makers have published, `installed` what is there."""

    name: str
    version: str
    installed: str

    @property
    def line(self) -> str:
        return f"{self.name}=={self.version}"


def python_audit(engine: Engine, container: Container, python: str, advisories: str, seconds: float) -> Audit:
    """Look up what pip lists in a container.

    Args:
        engine: The engine that the container is on.
        container: Where.
        python: The Python whose packages they are.
        advisories: Who is asked, as OSV's query interface; empty: OSV itself.
        seconds: Total time limit of either step, in seconds.

    Raises:
        CannotTell: If pip doesn't list anything, or pip-audit isn't there or doesn't answer.
    """
    auditor = f"pip-audit {_installed_version()}"
    there = installed(engine, container, python, seconds)
    if not there:
        raise CannotTell(f"pip of {python} in {container.name} lists no package", mend="Set dependencies.python.")
    asked, skipped = _to_be_asked(there)
    tried = [_Asked(name, of, of) for name, of in KNOWN if name not in asked][:TRIED]
    address = advisories or OSV
    ends = time.monotonic() + seconds
    answer = _looked_up([*asked.values(), *tried], address, seconds)
    found, missed = _held_against(asked, answer)
    known = tuple(f"{one.name} {one.version}" for one in tried if answer.get(one.name, {}).get("vulns"))
    bad, beside = _with_severities(found, address, max(_LEAST_SECONDS, ends - time.monotonic()))
    return Audit(
        kind="Python",
        place=f"in {container.name}",
        auditor=auditor,
        packages=len(asked) + len(skipped),
        audited=len(asked) - len(missed),
        advisories=bad,
        skipped=(*skipped, *missed),
        tried=tuple(f"{one.name} {one.version}" for one in tried),
        known=known,
        said_beside=(*_as_published(asked.values()), *beside),
    )


def _installed_version() -> str:
    try:
        return version("pip-audit")
    except PackageNotFoundError:
        raise CannotTell(
            "pip-audit, which looks up advisories of Python packages, isn't installed beside these checks",
            mend="pip install '.[audit]'",
        ) from None


def _to_be_asked(there: Iterable[Mapping[str, Any]]) -> tuple[dict[str, _Asked], list[tuple[str, str]]]:
    """What can be looked up, by its one name, and what can't, with the reason.

    What is installed from a directory has a name and a version as well: it may be somebody's that is published.
    """
    from packaging.version import InvalidVersion, Version

    asked: dict[str, _Asked] = {}
    skipped: list[tuple[str, str]] = []
    for one in there:
        name, given = str(one.get("name", ""))[:_LONGEST], str(one.get("version", ""))[:_LONGEST]
        key = normalized(name)
        if not _NAME.fullmatch(name):
            skipped.append((repr(name), "that is no name of a package"))
            continue
        try:
            # What a packager appends behind a plus is in nobody's list: 2.0.8+dfsg1 is looked up as 2.0.8.
            public = Version(given).public
        except InvalidVersion:
            skipped.append((name, f"{given!r} is no version that could be looked up"))
            continue
        if key in asked and asked[key].version != public:
            skipped.append((f"{name} {given}", f"it is listed as {asked[key].version} as well"))
            continue
        asked[key] = _Asked(key, public, given)
    return asked, skipped


def _as_published(asked: Iterable[_Asked]) -> tuple[str, ...]:
    """What was looked up without what its packager has appended: it may be mended there, and is not seen to be."""
    names = [f"{one.name} {one.installed}" for one in asked if "+" in one.installed]
    return (f"looked up without what stands behind the plus: {some(names)}",) if names else ()


def _looked_up(asked: Sequence[_Asked], address: str, seconds: float) -> dict[str, dict[str, Any]]:
    """Have pip-audit look packages up; its status says nothing, 1 is also "nobody could be asked"."""
    with tempfile.TemporaryDirectory(prefix="ops-checks-audit-") as scratch:
        wanted = Path(scratch, "requirements.txt")
        wanted.write_text("".join(f"{one.line}\n" for one in asked), encoding="utf-8")
        options = [
            *("--requirement", str(wanted), "--no-deps", "--disable-pip", "--progress-spinner", "off"),
            *("--vulnerability-service", "osv", "--osv-url", address, "--cache-dir", str(Path(scratch, "cache"))),
            *("--format", "json", "--desc", "on", "--aliases", "on"),
        ]
        # Its own variables could send its answer elsewhere; the settings of this run are for this run.
        kept = {one: text for one, text in os.environ.items() if not one.startswith(("OPS_", "PIP_AUDIT_"))}
        quiet = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
        command = (sys.executable, "-m", "pip_audit", *options)
        ended = run(command, Path(scratch), {**kept, **quiet}, seconds, most=_MOST)
    if ended.status is None:
        raise CannotTell(
            f"pip-audit did not end within {say_span(timedelta(seconds=seconds))}; it was to ask {_plain(address)}",
            mend="See whether that answers; or raise timeouts.dependencies.",
        )
    try:
        entries = json.loads(ended.out.head)["dependencies"]
        return {normalized(one["name"]): one for one in entries}
    except (ValueError, KeyError, TypeError):
        complaint = ended.complaint.head + ended.complaint.tail
        raise CannotTell(
            f"pip-audit couldn't look anything up at {_plain(address)}: {_why(complaint, ended.status)}",
            mend="See whether that answers from here; another that speaks as OSV does is named in "
            "dependencies.advisories.",
        ) from None


def _why(complaint: str, status: int) -> str:
    """The last of its complaints that says something, or its last line."""
    said = [one["why"] for one in _COMPLAINT.finditer(complaint)] or complaint.split("\n")
    last = next((line for line in reversed(said) if line.strip()), "")
    return short_reason(last).strip(' "') or f"it ended with status {status}"


def _plain(address: str) -> str:
    return re.sub(r"://[^/\s@]*@", "://", address)


def _held_against(
    asked: Mapping[str, _Asked], answer: Mapping[str, Mapping[str, Any]]
) -> tuple[list[tuple[_Asked, dict[str, Any]]], list[tuple[str, str]]]:
    """What was found of each package that was asked for, and what of them wasn't answered."""
    found: list[tuple[_Asked, dict[str, Any]]] = []
    missed = []
    for key, one in asked.items():
        entry = answer.get(key, {})
        if not isinstance(entry.get("vulns"), list):
            missed.append((one.name, str(entry.get("skip_reason") or "pip-audit doesn't mention it")[:_MOST_OF_TITLE]))
            continue
        found += [(one, hit) for hit in entry["vulns"] if isinstance(hit, dict)]
    return found, missed


def _with_severities(
    found: Sequence[tuple[_Asked, dict[str, Any]]], address: str, seconds: float
) -> tuple[tuple[Advisory, ...], tuple[str, ...]]:
    """The advisories with what the source says of their severity, which pip-audit leaves out."""
    if not found:
        return (), ()
    hit = {one.name: one for one, _ in found}
    severities: dict[str, str] = {}
    beside: tuple[str, ...] = ()
    try:
        severities = within(seconds, lambda: _severities(hit.values(), address, seconds))
    except TimeIsUp:
        beside = (f"their severity wasn't told within {say_span(timedelta(seconds=seconds))}",)
    except Exception as error:  # noqa: BLE001  whatever a client or a strange answer raises: it is beside the point
        beside = (f"their severity couldn't be asked for: {short_reason(str(error)) or type(error).__name__}",)
    return tuple(_advisory(one, entry, severities) for one, entry in found), beside


def _advisory(of: _Asked, entry: Mapping[str, Any], severities: Mapping[str, str]) -> Advisory:
    aliases = tuple(str(one)[:_LONGEST] for one in entry.get("aliases") or ())
    name = str(entry.get("id", UNKNOWN))[:_LONGEST]
    told = [severities[one] for one in (name, *aliases) if one in severities]
    fixed = ", ".join(str(one)[:_LONGEST] for one in entry.get("fix_versions") or ())
    title = str(entry.get("description") or "")[:_MOST_OF_TITLE]
    return Advisory(name, of.name, of.installed, _worst(told), fixed, aliases, title)


def _worst(told: Sequence[str]) -> str:
    """Of several the worst: an advisory stands in several data bases, and not all say how bad it is."""
    words = [Severity.parse(one) for one in told if _is_word(one)]
    return str(max(words, key=lambda one: one.rank)) if words else next(iter(told), UNKNOWN)


def _is_word(text: str) -> bool:
    try:
        Severity.parse(text)
    except ValueError:
        return False
    return True


def _severities(hit: Iterable[_Asked], address: str, seconds: float) -> dict[str, str]:
    """By id, how bad the source says it is: in a word, or else as a CVSS vector."""
    import httpx

    told: dict[str, str] = {}
    with httpx.Client(timeout=seconds, follow_redirects=True) as client:
        for one in hit:
            question = {"package": {"name": one.name, "ecosystem": "PyPI"}, "version": one.version}
            answer = client.post(address, json=question)
            answer.raise_for_status()
            for record in answer.json().get("vulns", []):
                word = (record.get("database_specific") or {}).get("severity")
                vectors = [str(rating.get("score")) for rating in record.get("severity") or ()]
                if said := (word if isinstance(word, str) else next(iter(vectors), "")):
                    told[str(record.get("id"))] = said[:_LONGEST]
    return told
