"""Who knows what is wrong with the lab's packages, so that pip-audit and npm have somebody to ask.

A small server beside the Compose project, in a container of the backend's own image, since that has Python: see
`lab.advisory_server`. The package index passes questions on to it, those of npm under the registry's address and those
of pip-audit under /osv/, as OSV has it. It is no copy of either: it has a handful of records of OSV's shape, of
versions before those that the lab has, and of those that every source knows.
"""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import advisory_server, beside
from lab.engine import client
from lab.packages import put
from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docker.models.containers import Container

    from lab.stack import Lab

LABEL = "org.synk.lab.advisories"
ALIAS = "advisories"
ANSWER_SECONDS = 15.0
PLACE = "/srv/advisories"

Record = dict[str, Any]


def record(
    name: str, package: str, *events: tuple[str, str], npm: bool = False, severity: str = "", also: Sequence[str] = ()
) -> Record:
    """A record of OSV's shape.

    Args:
        name: Its id.
        package: What it is about.
        events: What happens at which version: `introduced`, `fixed`, `last_affected`.
        npm: Whether it is a package of npm, and not of Python.
        severity: As the data base of GitHub has it: `MODERATE`; empty for one that doesn't say.
        also: The other ids that it goes by.
    """
    ranges = [{"type": "SEMVER" if npm else "ECOSYSTEM", "events": [{kind: version} for kind, version in events]}]
    return {
        "schema_version": "1.7.3",
        "id": name,
        "modified": "2026-01-05T09:00:00Z",
        "published": "2026-01-05T09:00:00Z",
        "aliases": list(also),
        "summary": f"{package}: what the lab says of it",
        "affected": [{"package": {"name": package, "ecosystem": "npm" if npm else "PyPI"}, "ranges": ranges}],
        "database_specific": {"severity": severity} if severity else {},
    }


KNOWN: tuple[Record, ...] = (
    # Just mended in what the lab has.
    record("GHSA-vm8q-m57g-pxf3", "django", ("introduced", "3.2"), ("fixed", "3.2.25"), severity="MODERATE"),
    record("GHSA-p5w8-wqhj-9hhf", "sqlparse", ("introduced", "0.4.0"), ("fixed", "0.4.2"), severity="HIGH"),
    record("GHSA-hggm-jpg3-v476", "cryptography", ("introduced", "0"), ("fixed", "3.2"), severity="HIGH"),
    record("LAB-2026-1", "flatbuffers", ("introduced", "0"), ("last_affected", "2.0.7")),
    record("LAB-2026-2", "esbuild", ("introduced", "0"), ("fixed", "0.19.12"), npm=True, severity="HIGH"),
    # What every source knows, and the audits ask for.
    record("GHSA-462w-v97r-4m45", "jinja2", ("introduced", "0"), ("fixed", "2.10.1"), severity="HIGH"),
    record("GHSA-6757-jp84-gxfx", "pyyaml", ("introduced", "5.1b7"), ("fixed", "5.3.1"), severity="CRITICAL"),
    record("GHSA-vh95-rmgr-6w4m", "minimist", ("introduced", "0"), ("fixed", "0.2.1"), npm=True, severity="MODERATE"),
    record("GHSA-qh2h-chj9-jffq", "growl", ("introduced", "0"), ("fixed", "1.10.0"), npm=True, severity="CRITICAL"),
)
"""What is known on a healthy lab: nothing of what it has installed."""


def up(lab: Lab) -> None:
    """Write what is known anew and have the server stand; the package index has to be there.

    Raises:
        LabError: it does not answer.
    """
    directory(lab).mkdir(parents=True, exist_ok=True)
    directory(lab).chmod(0o755)
    publish(lab, *KNOWN)
    shutil.copyfile(Path(advisory_server.__file__), directory(lab) / "server.py")
    (directory(lab) / "server.py").chmod(0o644)
    down(lab)
    _start(lab)
    answers(lab)


def down(lab: Lab) -> bool:
    """Remove its container; True when there was one. To be done before the project's network goes."""
    return beside.removed(lab, LABEL)


def container(lab: Lab) -> Container:
    """The container that it runs in.

    Raises:
        LabError: there is none.
    """
    return beside.standing(lab, LABEL, "source of advisories")


def directory(lab: Lab) -> Path:
    """What its container gets to see."""
    return lab.directory / "advisories"


def publish(lab: Lab, *records: Record) -> None:
    """Have just these be known, from the next question on."""
    put(directory(lab) / "advisories.json", json.dumps(records, indent=1) + "\n")


def published(lab: Lab) -> list[Record]:
    """What is known."""
    records: list[Record] = json.loads((directory(lab) / "advisories.json").read_text())
    return records


def ids(lab: Lab, package: str, version: str, *, npm: bool = False) -> str:
    """What is answered on the host of a package: the ids, or a status, or in a word why there is none."""
    path = advisory_server.NPM if npm else advisory_server.OSV
    question: object = {package: [version]}
    if not npm:
        question = {"package": {"name": package, "ecosystem": "PyPI"}, "version": version}
    try:
        answer = _ask(lab, path, question)
    except urllib.error.HTTPError as refused:
        return str(refused.code)
    except (OSError, ValueError) as failed:
        return type(failed).__name__
    found = [one["url"].rpartition("/")[2] for one in answer.get(package, [])] if npm else _ids(answer)
    return f"{package} {version}: {', '.join(found) or 'nothing known'}"


def _ids(answer: Record) -> list[str]:
    return [one["id"] for one in answer.get("vulns", [])]


def _ask(lab: Lab, path: str, question: object) -> Record:
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(
        f"http://127.0.0.1:{lab.packages_port}{path}",
        data=json.dumps(question).encode(),
        headers={"Content-Type": "application/json"},
    )
    with ask.open(request, timeout=5) as answer:
        told: Record = json.load(answer)
        return told


def _start(lab: Lab) -> None:
    engine = client()
    network = f"{lab.name}_default"
    made = engine.containers.create(
        f"{lab.name}_backend",
        ["python3", f"{PLACE}/server.py", f"{PLACE}/advisories.json"],
        name=f"{lab.name}_advisories",
        labels={LABEL: lab.name},
        network=network,
        networking_config={network: engine.api.create_endpoint_config(aliases=[ALIAS])},
        volumes={str(directory(lab)): {"bind": PLACE, "mode": "ro"}},
        restart_policy={"Name": "unless-stopped"},
        mem_limit="64m",
        init=True,
    )
    made.start()


def answers(lab: Lab, seconds: float = ANSWER_SECONDS) -> None:
    """Wait until it answers on the host, by the package index.

    Raises:
        LabError: it does not in `seconds`.
    """
    deadline = time.monotonic() + seconds
    while (seen := ids(lab, "jinja2", "2.10")) != "jinja2 2.10: GHSA-462w-v97r-4m45":
        if time.monotonic() > deadline:
            raise LabError(f"who knows the advisories of lab {lab.name} does not answer: {seen}")
        time.sleep(0.05)
