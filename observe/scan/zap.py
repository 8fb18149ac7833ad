"""ZAP's baseline scan in a container of its own, where the engine has its image.

A spider and what can be said of the answers that it gets: nothing is attacked.
Its container has the machine's network, for the sake of the gate on loopback,
which it is told to ask everything through.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from observe.container_file import content
from observe.engine import ONE_OFF, PROJECT, SERVICE
from observe.errors import CannotTell
from observe.scan.findings import Finding, Report, bounded, items, local, worst_first
from target.kinds import SEVERITIES, Severity, say_span

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from observe.engine import Engine
    from observe.scan.gate import Gate

LABEL, UNTIL = "operations-checks.scan", "operations-checks.until"
"""Labels of the container: the run that it belongs to, and until when it may live."""
CALL = 60.0
"""Seconds for one call of the engine."""
MEMORY = 2 * 1024**3
"""Bytes that it may use: ZAP is a Java program and takes a quarter of them for its heap."""
_MOST_REPORT = 64 * 1024**2
_MOST_INSTANCES = 100
"""So many places of one alert are told."""
_LOOK_SECONDS = 0.5
_PLACE = "/zap/wrk"
_SCRIPT = f'mkdir -p {_PLACE} && exec zap-baseline.py "$@"'
"""The script insists on the directory for its report, which is usually mounted; here it lies in the container."""


def has_image(engine: Engine, image: str) -> bool:
    """Whether the engine has the image; it isn't pulled.

    Raises:
        CannotTell: If the engine can't be asked.
    """
    return engine.image(image) is not None


def scan(engine: Engine, image: str, gate: Gate, url: str, token: str, seconds: float) -> Report:
    """Scan a site through a gate.

    Args:
        engine: The engine, which has to be on this machine.
        image: ZAP's image.
        gate: The only way that it is told of.
        url: Where it begins.
        token: The run's.
        seconds: Total time limit; the gate closes before.

    Raises:
        CannotTell: If it comes to no report.
    """
    if not engine.here:
        raise CannotTell(
            "ZAP's container can reach this run only where the engine is on this machine",
            mend='Run the suite there, or set scan.scanner = "wapiti".',
        )
    _remove_leftovers(engine)
    container = engine.ask(
        "make a container of ZAP", lambda client: _made(client, image, gate.port, url, token, seconds), seconds=CALL
    )
    try:
        engine.ask("start ZAP's container", lambda client: client.api.start(container), seconds=CALL)
        status = _ended(engine, container, seconds)
        said = engine.ask("read what ZAP prints", lambda client: _last_line(client, container), seconds=CALL)
        content = engine.ask("read ZAP's report", lambda client: _report(client, container), seconds=CALL)
    finally:
        with suppress(CannotTell):
            engine.ask("remove ZAP's container", lambda client: _remove(client, container), seconds=CALL)
    if content is None or status not in {0, 1, 2}:
        raise CannotTell(f"ZAP wrote no report; it ended with status {status}: {said}")
    try:
        answer = json.loads(content)
    except ValueError:
        raise CannotTell(f"ZAP's report is no JSON; it ended with status {status}: {said}") from None
    version = bounded(answer.get("@version"), 20) if isinstance(answer, dict) else ""
    return Report(f"ZAP {version}".strip() + "'s baseline", findings(answer))


def findings(answer: Any) -> tuple[Finding, ...]:  # noqa: ANN401  it may be anything
    """What a report of ZAP's found: one finding for each place. Its risks go from 0 (information) to 3 (high).

    Raises:
        CannotTell: If it is no such report.
    """
    sites = answer.get("site") if isinstance(answer, dict) else None
    # With a single site some versions have it without the list.
    sites = [sites] if isinstance(sites, dict) else sites
    if not isinstance(sites, list):
        raise CannotTell("ZAP's report has no site in it, not even without alerts")
    return worst_first([one for site in items(sites) for alert in items(site.get("alerts")) for one in _of(alert)])


def _of(alert: dict[str, Any]) -> Iterator[Finding]:
    name = bounded(alert.get("name") or alert.get("alert"), 120)
    number = bounded(alert.get("cweid"), 10)
    about = f"CWE-{number}" if number.isdecimal() and int(number) > 0 else ""
    for one in items(alert.get("instances"))[:_MOST_INSTANCES] or [{}]:
        said = [bounded(one.get(key)) for key in ("evidence", "otherinfo")]
        attack = bounded(one.get("attack"), 100)
        yield Finding(
            risk=_risk(alert.get("riskcode")),
            name=name,
            method=bounded(one.get("method"), 10) or "GET",
            path=local(one.get("uri")),
            parameter=bounded(one.get("param"), 80),
            said="; ".join(text for text in said if text),
            repeat=f"send {attack}" if attack else "",
            about=about,
        )


def _risk(code: object) -> Severity:
    if isinstance(code, int | str) and str(code).isdecimal():
        return Severity(SEVERITIES[min(int(code), 3)])
    # What isn't rated is not to be overlooked for that.
    return Severity("high")


def _made(client: docker.DockerClient, image: str, port: int, url: str, token: str, seconds: float) -> str:
    minutes = str(math.ceil(seconds / 60))
    proxy = {"host": "127.0.0.1", "port": str(port), "enabled": "true"}
    # Silent: it looks for no updates of its own.
    options = ["-silent", *(f"-config network.connection.httpProxy.{key}={value}" for key, value in proxy.items())]
    api = client.api
    return str(
        api.create_container(
            image,
            # Its own time limits lie behind the gate's: where that closes is known.
            ["-t", url, "-J", "report.json", "-I", "-m", minutes, "-T", minutes, "-z", " ".join(options)],
            entrypoint=["sh", "-c", _SCRIPT, "zap-baseline"],
            labels={
                LABEL: token,
                UNTIL: str(int(time.time() + seconds + 2 * CALL)),
                # An image that Compose built has these itself, and would make us one of the project's own.
                PROJECT: "",
                SERVICE: "",
                ONE_OFF: "True",
            },
            healthcheck={"test": ["NONE"]},
            host_config=api.create_host_config(
                network_mode="host",
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                mem_limit=MEMORY,
                memswap_limit=MEMORY,
                pids_limit=1024,
                log_config={"Type": "json-file", "Config": {"max-size": "1m"}},
            ),
        )["Id"]
    )


def _ended(engine: Engine, container: str, seconds: float) -> int:
    """Wait for its end.

    Raises:
        CannotTell: If it doesn't end in time; whoever asked removes it.
    """
    until = time.monotonic() + seconds
    while True:
        seen = engine.ask("say how ZAP's container is", lambda client: client.api.inspect_container(container)["State"])
        if seen.get("OOMKilled"):
            raise CannotTell("ZAP ran out of memory", mend="Name what needn't be looked at in scan.leave_out.")
        if not seen.get("Running"):
            return int(seen.get("ExitCode") or 0)
        if time.monotonic() > until:
            limit = say_span(timedelta(seconds=seconds))
            raise CannotTell(
                f"ZAP did not end within {limit}, and was ended",
                mend="Raise timeouts.scan, or name what needn't be looked at in scan.leave_out.",
            )
        time.sleep(_LOOK_SECONDS)


def _last_line(client: docker.DockerClient, container: str) -> str:
    output = client.api.logs(container, follow=False, tail=20)
    lines = [line.strip() for line in output.decode("utf-8", errors="replace").splitlines() if line.strip()]
    return bounded(lines[-1], 200) if lines else "it said nothing"


def _report(client: docker.DockerClient, container: str) -> bytes | None:
    """The report; None if there is none."""
    return content(client, container, f"{_PLACE}/report.json", _MOST_REPORT, "ZAP's report")


def _remove(client: docker.DockerClient, container: str) -> None:
    from docker.errors import NotFound

    with suppress(NotFound):
        client.api.remove_container(container, force=True, v=True)


def _remove_leftovers(engine: Engine) -> None:
    """Remove what runs have left behind that were ended too hard to do it themselves: it is late by its own label."""

    def question(client: docker.DockerClient) -> None:
        for one in client.api.containers(all=True, filters={"label": LABEL}):
            until = one["Labels"].get(UNTIL, "")
            if until.isdecimal() and int(until) < time.time():
                _remove(client, one["Id"])

    engine.ask("remove what earlier scans have left behind", question, seconds=CALL)
