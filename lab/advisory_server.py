"""Who knows the lab's advisories: OSV's query interface, and the one that npm asks its registry.

It is run by itself, in a container that has but Python and `packaging`; the lab copies it there. What it knows stands
in a JSON file of OSV's own records, which is read anew for every question. A record counts for a version as OSV has it:
the version is listed, or lies between an event that introduces and one that ends it.

    POST /osv/v1/query                                   {"package": {"name", "ecosystem"}, "version"}
    POST /npm/-/npm/v1/security/advisories/bulk          {name: [version, …]}, gzipped or not
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Record = dict[str, Any]
PORT = 8000
OSV, NPM = "/osv/v1/query", "/npm/-/npm/v1/security/advisories/bulk"
MOST = 16 * 1024 * 1024
_SEVERITIES = {"LOW": "low", "MODERATE": "moderate", "HIGH": "high", "CRITICAL": "critical"}


def of_version(records: Iterable[Record], ecosystem: str, name: str, version: str) -> list[Record]:
    """The records that count for a version of a package."""
    same = _python_name if ecosystem == "PyPI" else str
    return [
        record
        for record in records
        if any(
            affected["package"]["ecosystem"] == ecosystem
            and same(affected["package"]["name"]) == same(name)
            and _hit(affected, ecosystem, version)
            for affected in record["affected"]
        )
    ]


def bulk(records: Iterable[Record], wanted: Mapping[str, Iterable[str]]) -> dict[str, list[dict[str, Any]]]:
    """What npm is told: by package, the advisories that count for one of the versions that it asked for."""
    known = list(records)
    answer: dict[str, list[dict[str, Any]]] = {}
    for name, versions in wanted.items():
        hits = {one["id"]: one for version in versions for one in of_version(known, "npm", name, version)}
        if hits:
            answer[name] = [_for_npm(one, name) for one in hits.values()]
    return answer


def _for_npm(record: Record, name: str) -> dict[str, Any]:
    severity = record.get("database_specific", {}).get("severity", "")
    return {
        "id": int.from_bytes(record["id"].encode()[-3:], "big"),
        "url": f"https://github.com/advisories/{record['id']}",
        "title": record.get("summary", ""),
        "severity": _SEVERITIES.get(severity, "info"),
        "vulnerable_versions": " || ".join(
            _npm_range(events)
            for affected in record["affected"]
            if affected["package"]["name"] == name
            for events in _ranges(affected)
        ),
        "cwe": [],
        "cvss": {"score": 0, "vectorString": None},
    }


def _npm_range(events: Iterable[Mapping[str, str]]) -> str:
    words = {"introduced": ">=", "fixed": "<", "last_affected": "<="}
    return " ".join(f"{words[kind]}{version}" for event in events for kind, version in event.items())


def _ranges(affected: Record) -> list[list[dict[str, str]]]:
    return [one["events"] for one in affected.get("ranges", []) if one["type"] in {"ECOSYSTEM", "SEMVER"}]


def _hit(affected: Record, ecosystem: str, version: str) -> bool:
    if version in affected.get("versions", []):
        return True
    key = _python_key if ecosystem == "PyPI" else _npm_key
    try:
        return any(_between(events, key(version), key) for events in _ranges(affected))
    except (ValueError, InvalidVersion):
        return False


def _between(events: Iterable[Mapping[str, str]], mine: Any, key: Any) -> bool:  # noqa: ANN401  of two kinds
    """Whether the last event up to a version is one that introduced it."""
    inside = False
    for event in sorted(events, key=lambda one: key(next(iter(one.values())))):
        ((kind, at),) = event.items()
        if kind == "introduced" and key(at) <= mine:
            inside = True
        elif (kind == "fixed" and key(at) <= mine) or (kind == "last_affected" and key(at) < mine):
            inside = False
    return inside


def _python_key(version: str) -> Version:
    return Version(version)


def _npm_key(version: str) -> tuple[tuple[int, ...], bool, list[tuple[bool, int, str]]]:
    """A version by the order of semver.org: before 1.0.0 comes 1.0.0-rc.1, and before that 1.0.0-beta.2."""
    found = re.fullmatch(r"([0-9]+)(?:\.([0-9]+)\.([0-9]+))?(?:-([0-9A-Za-z.-]+))?(?:\+.*)?", version)
    if found is None:
        raise ValueError(version)
    before = [(not one.isdigit(), int(one) if one.isdigit() else 0, one) for one in (found[4] or "").split(".") if one]
    return tuple(int(one or 0) for one in found.group(1, 2, 3)), not before, before


def _python_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class Server(ThreadingHTTPServer):
    """The server.

    Args:
        file: The advisories that it knows.
        address: Where it listens.
    """

    daemon_threads = True

    def __init__(self, file: Path, address: tuple[str, int]) -> None:
        self.file = file
        super().__init__(address, Handler)

    def answer(self, path: str, question: Any) -> object:  # noqa: ANN401  whatever JSON came
        """What a question is answered with.

        Raises:
            LookupError: Nothing is to be asked there, or not in that way.
        """
        records = json.loads(self.file.read_text(encoding="utf-8"))
        if path == OSV:
            package = question["package"]
            found = of_version(records, package["ecosystem"], package["name"], question["version"])
            return {"vulns": found} if found else {}
        if path == NPM:
            return bulk(records, question)
        raise LookupError(path)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        """Answer a question."""
        content = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), MOST))
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        try:
            status, answer = 200, self.server.answer(self.path, json.loads(content))
        except LookupError:
            status, answer = 404, {"code": 5, "message": "Not Found"}
        except (ValueError, TypeError, AttributeError) as error:
            status, answer = 400, {"code": 3, "message": f"Invalid query: {error}"}
        said = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  the base class's name
        """Say nothing of what went well."""


if __name__ == "__main__":
    Server(Path(sys.argv[1]), ("", PORT)).serve_forever()
