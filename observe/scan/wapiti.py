"""Wapiti, a scanner that installs as a package: versions 3.0.4 (Debian 12's) to 3.2 are known."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observe import program
from observe.errors import CannotTell
from observe.scan.findings import Finding, Report, bounded, items, local, worst_first
from target.kinds import SEVERITIES, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from observe.scan.gate import Gate

_HELP_SECONDS = 30.0
_READ_SECONDS = 60
"""For one answer: a request may wait for its turn at the gate, many at once."""
_MOST_OUTPUT = 4 * 1024**2
_MOST_REPORT = 64 * 1024**2
_KNOWN = frozenset(
    {
        *("--scope", "--proxy", "--module", "--store-session", "--store-config", "--start", "--verify-ssl"),
        *("--timeout", "--no-bugreport", "--verbose", "--format", "--output"),
    }
)
"""The options that it is called with."""
_VERSION = re.compile(r"Wapiti[ -](\d+(?:\.\d+)+)")
_OPTION = re.compile(r"--[a-z][a-z-]+")
_LAUNCHED = re.compile(r"^\[\*\] Launching module (\w+)", re.MULTILINE)
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NO_POLICY = re.compile(r"CSP is not set")
_OLD_HEADER = re.compile(r"X-XSS-Protection")


@dataclass(frozen=True)
class Wapiti:
    """The installed command.

    Attributes:
        program: Where it is.
        version: Its version.
        options: The options that it knows.
    """

    program: str
    version: str
    options: frozenset[str]

    def scan(self, gate: Gate, url: str, start: Sequence[str], modules: Sequence[str], seconds: float) -> Report:
        """Scan a site through a gate.

        Args:
            gate: The only way that it has.
            url: The site's address.
            start: Paths from which links are followed.
            modules: What it tries.
            seconds: Total time limit; the gate closes before.

        Raises:
            CannotTell: If it comes to no report.
        """
        with tempfile.TemporaryDirectory(prefix="ops-checks-wapiti-") as scratch:
            file = Path(scratch, "report.json")
            command = self._command(gate, url, start, modules, scratch, file)
            try:
                ended = program.run(
                    command, Path(scratch), _environment(scratch, gate), seconds, most=_MOST_OUTPUT, merged=True
                )
            except OSError as error:
                raise CannotTell(f"{self.program} can't be run: {error.strerror or error}") from None
            said = _ESCAPES.sub("", ended.out.head + ended.out.tail)
            if ended.status is None:
                raise CannotTell(
                    f"Wapiti {self.version} did not end within {seconds:g} s, and was ended",
                    mend="Raise timeouts.scan, or name what needn't be looked at in scan.leave_out.",
                )
            answer = _read(file, f"Wapiti {self.version}", f"ended with status {ended.status}: {_last_line(said)}")
        ran = tuple(dict.fromkeys(_LAUNCHED.findall(said)))
        return Report(f"Wapiti {self.version}", findings(answer), ran, tuple(modules))

    def _command(
        self, gate: Gate, url: str, start: Sequence[str], modules: Sequence[str], scratch: str, file: Path
    ) -> list[str]:
        root = url.rstrip("/")
        # The gate's certificate is its own; the site's is verified by the gate.
        command = [self.program, "--url", f"{root}/", "--scope", "folder", "--proxy", gate.url, "--verify-ssl", "0"]
        command += ["--module", ",".join(modules), "--timeout", str(_READ_SECONDS), "--no-bugreport", "--verbose", "1"]
        command += ["--store-session", f"{scratch}/session", "--store-config", f"{scratch}/config"]
        command += ["--format", "json", "--output", str(file)]
        for path in start:
            command += ["--start", f"{root}{path}"]
        if "--dns-endpoint" in self.options:
            # Versions that have it look up a host of their makers' otherwise, before they do anything.
            command += ["--dns-endpoint", "localhost"]
        return command


def installed(name: str) -> Wapiti | None:
    """The command of that name; None if there is none.

    Raises:
        CannotTell: If there is, and it isn't one that is known.
    """
    found = shutil.which(name)
    if found is None:
        return None
    mend = "Install Wapiti 3.0.4 or later (`apt-get install wapiti`, `pipx install wapiti3`), or set scan.wapiti."
    with tempfile.TemporaryDirectory(prefix="ops-checks-wapiti-") as scratch:
        try:
            ended = program.run(
                (found, "--help"), Path(scratch), _environment(scratch, None), _HELP_SECONDS, merged=True
            )
        except OSError as error:
            raise CannotTell(f"{found} can't be run: {error.strerror or error}", mend=mend) from None
    version = _VERSION.search(ended.out.head)
    options = frozenset(_OPTION.findall(ended.out.head))
    if ended.status != 0 or version is None:
        why = "did not say within its time what it is" if ended.status is None else "is not Wapiti, or is broken"
        raise CannotTell(f"{found} {why}: {_last_line(ended.out.head + ended.out.tail)}", mend=mend)
    if lacks := sorted(_KNOWN - options):
        raise CannotTell(f"{found} is Wapiti {version[1]}, which doesn't know {', '.join(lacks)}", mend=mend)
    return Wapiti(found, version[1], options)


def findings(answer: Any) -> tuple[Finding, ...]:  # noqa: ANN401  it may be anything
    """What a report of Wapiti's found.

    Its levels go from 0 (information) to 4 (critical). Two of its ratings are not followed. That there is no content
    security policy at all it calls low, ZAP medium: medium, so that a limit means the same by either. That
    X-XSS-Protection isn't sent is information: no browser heeds it any more.

    Raises:
        CannotTell: If it is no such report.
    """
    sections = [answer.get(one) for one in ("vulnerabilities", "anomalies")] if isinstance(answer, dict) else []
    if len(sections) != 2 or not all(isinstance(one, dict) for one in sections):
        raise CannotTell("Wapiti's report has no vulnerabilities in it, not even none")
    return worst_first([one for section in sections if section is not None for one in _of(section)])


def _of(section: dict[str, Any]) -> Iterator[Finding]:
    for name, found in section.items():
        for one in items(found):
            said = bounded(one.get("info"))
            about = one.get("wstg")
            yield Finding(
                risk=_risk(one.get("level"), said),
                name=bounded(name, 80),
                method=bounded(one.get("method"), 10) or "GET",
                path=local(one.get("path")),
                parameter=bounded(one.get("parameter"), 80),
                said=said,
                repeat=bounded(one.get("curl_command"), 500),
                about=bounded(", ".join(str(entry) for entry in about) if isinstance(about, list) else "", 100),
            )


def _risk(level: object, said: str) -> Severity:
    try:
        rank = min(max(int(level), 0), len(SEVERITIES) - 1) if isinstance(level, int | str) else None
    except ValueError:
        rank = None
    if rank is None:
        # What isn't rated is not to be overlooked for that.
        return Severity("high")
    if _NO_POLICY.search(said):
        rank = max(rank, SEVERITIES.index("medium"))
    if _OLD_HEADER.search(said):
        rank = SEVERITIES.index("info")
    return Severity(SEVERITIES[rank])


def _environment(scratch: str, gate: Gate | None) -> dict[str, str]:
    """Nothing of this run's; whatever else it might ask for on its own account has no way but the gate."""
    way = "http://127.0.0.1:9" if gate is None else gate.url
    proxies = {name: way for one in ("http_proxy", "https_proxy", "all_proxy") for name in (one, one.upper())}
    kept = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
    return {**kept, **proxies, "HOME": scratch, "LC_ALL": "C.UTF-8", "LANGUAGE": "en", "TERM": "dumb", "COLUMNS": "200"}


def _read(file: Path, who: str, how: str) -> Any:  # noqa: ANN401  whatever it wrote
    try:
        with file.open("rb") as handle:
            content = handle.read(_MOST_REPORT + 1)
    except OSError:
        raise CannotTell(f"{who} wrote no report; it {how}") from None
    if len(content) > _MOST_REPORT:
        raise CannotTell(f"{who}'s report is larger than {_MOST_REPORT:,} bytes")
    try:
        return json.loads(content)
    except ValueError:
        raise CannotTell(f"{who}'s report is no JSON; it {how}") from None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return bounded(lines[-1], 200) if lines else "it said nothing"
