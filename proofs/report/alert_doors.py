"""The doors of services that keep alerts, and of chats, as they are from outside, in a network of their own.

Run as a program it is `unshare`d by the proofs, as `proofs.observe.alert_services` is: the services' names are its own
loopback. What the nights of a target came to comes on its standard input; they are told as runs tell them, by the
suite's own code and Apprise's own clients; what the services were sent goes to its standard output.
"""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from proofs.observe.alert_services import OPSGENIE, PAGERDUTY, loopback_up, opsgenie_says, pagerduty_says

if TYPE_CHECKING:
    from collections.abc import Mapping

SLACK, DISCORD, TELEGRAM = "hooks.slack.com", "discord.com", "api.telegram.org"
NAMES = (PAGERDUTY, OPSGENIE, SLACK, DISCORD, TELEGRAM)
_CLOSE = re.compile(r"/v2/alerts/([A-Za-z0-9._-]+)/close\?identifierType=alias")


def answer(host: str, path: str, headers: Mapping[str, str], event: dict[str, Any]) -> tuple[int, object]:
    """Status and body that the service would answer with."""
    if (host, path) == (PAGERDUTY, "/v2/enqueue"):
        if event["event_action"] == "resolve":
            # A resolve names the incident, and needs no payload.
            return (202, {"status": "success"}) if event.get("dedup_key") else (400, {"status": "invalid event"})
        return pagerduty_says(event)
    if host == OPSGENIE and path == "/v2/alerts":
        return opsgenie_says(headers.get("Authorization", ""), event)
    if host == OPSGENIE and _CLOSE.fullmatch(path):
        return opsgenie_says(headers.get("Authorization", ""), {"message": "close"})
    if host == TELEGRAM:
        return 200, {"ok": True, "result": {"message_id": 1}}
    return (200, "ok") if host in NAMES else (404, "no such door")


class _Door(BaseHTTPRequestHandler):
    received: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        host = self.headers["Host"].partition(":")[0]
        self.received.append({"host": host, "path": self.path, "json": event})
        status, said = answer(host, self.path, dict(self.headers), event)
        body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def tell(urls: list[str], nights: list[list[Any]]) -> list[dict[str, Any]]:
    """Tell what each night has changed: what was sent to whom, and how it was taken."""
    from observe.notify import read_route, understood
    from proofs.report.samples import run
    from report import alerts
    from report.telling import send_all
    from target.kinds import Secret

    states: alerts.States = {}
    found = []
    for results in nights:
        services = {}
        for url in urls:
            (service,) = understood(read_route(Secret(url), None, "alerts"))
            assert service.address is not None
            services[service.address.known_as("synk")] = service
        states = alerts.look(states, results, run(), alerts.Known())
        due = alerts.plan(states, list(services), "synk", severity="major", again_after=7)
        taken = send_all(services, due, "synk", 20)
        for telling, delivery in taken:
            note = alerts.accepted if delivery.accepted else alerts.refused
            note(states[telling.key], telling)
        said = sorted(f"{delivery.name} {delivery.said}" for _, delivery in taken)
        found.append({"said": said, "received": _Door.received.copy()})
        _Door.received.clear()
    return found


def main(directory: Path) -> None:
    """Send alerts from in here to in here."""
    loopback_up()
    subprocess.run(["mount", "--bind", str(directory / "hosts"), "/etc/hosts"], check=True)
    server = ThreadingHTTPServer(("127.0.0.1", 443), _Door)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "fullchain.pem", directory / "privkey.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    given = json.load(sys.stdin)
    sys.stdout.write(json.dumps(tell(given["urls"], given["nights"])))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
