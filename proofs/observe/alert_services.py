"""PagerDuty's and Opsgenie's doors as they are from outside, in a network of their own.

Run as a program it is `unshare`d by the proofs: it has a loopback and nothing else, an /etc/hosts in which the
services' names are that loopback, and a server on its port 443. The sender then is the suite's own, with Apprise's own
clients as they are. What it is to send comes on its standard input, what came of it goes to its standard output.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from proofs.harness import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGERDUTY, OPSGENIE = "events.pagerduty.com", "api.opsgenie.com"
PAGERDUTY_KEY = "R0123456789abcdef0123456789abcde"
OPSGENIE_KEY = "0a1b2c3d-1111-2222-3333-444455556666"
SEVERITIES = {"critical", "error", "warning", "info"}
_UP_AND_RUNNING = 0x1 | 0x40
_GET_FLAGS, _SET_FLAGS = 0x8913, 0x8914


def in_its_own_network(module: str, doors: Path, given: object, trusted: str = "ca.pem") -> Any:  # noqa: ANN401  JSON
    """Run a module of these proofs in a network that has a loopback and nothing else.

    Args:
        module: Its name; it is given the directory as its argument.
        doors: Where the authority and the certificates lie.
        given: What comes on its standard input, as JSON.
        trusted: The authority that is trusted, in that directory.

    Returns:
        What it put out, which is JSON.
    """
    alone = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--net", "--mount"]
    variables = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        [*alone, sys.executable, "-m", module, str(doors)],
        cwd=ROOT,
        env={**variables, "REQUESTS_CA_BUNDLE": str(doors / trusted)},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@dataclass
class Receiver:
    """Takes alerts as the services do, and keeps what it was sent."""

    received: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, host: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the answer."""
        self.received.append({"host": host, "path": path, "json": json.loads(body)})
        if (host, path) == (PAGERDUTY, "/v2/enqueue"):
            return pagerduty_says(json.loads(body))
        if (host, path) == (OPSGENIE, "/v2/alerts"):
            return opsgenie_says(headers.get("Authorization", ""), json.loads(body))
        return 404, {"message": "no such door"}


def pagerduty_says(event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """What the Events API v2 says of an event."""
    payload = event.get("payload", {})
    errors = []
    if event.get("routing_key") != PAGERDUTY_KEY:
        errors.append("Invalid routing key")
    if event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
        errors.append("'event_action' is missing or not one of trigger, acknowledge, resolve")
    errors += [f"'payload.{name}' is missing or blank" for name in ("summary", "source") if not payload.get(name)]
    if payload.get("severity") not in SEVERITIES:
        errors.append("'payload.severity' is invalid")
    if len(payload.get("summary", "")) > 1024:
        errors.append("'payload.summary' is too long (maximum is 1024 characters)")
    if errors:
        return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
    return 202, {"status": "success", "message": "Event processed", "dedup_key": "c24117fc42e44b44b4d6876190583378"}


def opsgenie_says(authorization: str, alert: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """What the Alert API says of a new alert."""
    request = {"took": 0.001, "requestId": "43a29c5c-3dbf-4fa4-9c26-f4f71023e120"}
    if authorization != f"GenieKey {OPSGENIE_KEY}":
        return 401, {"message": "Could not authenticate", **request}
    if not alert.get("message") or len(alert["message"]) > 130:
        return 422, {"message": "Request body is not processable. Please check the errors.", **request}
    return 202, {"result": "Request will be processed", **request}


class _Door(BaseHTTPRequestHandler):
    receiver: ClassVar[Receiver]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        host = self.headers["Host"].partition(":")[0]
        assert self.headers["Content-Type"] == "application/json"
        status, said = self.receiver.answer(host, self.path, dict(self.headers), body)
        answer = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def loopback_up() -> None:
    """Switch the loopback of a new network on, as `ip link set lo up` does where there is an `ip`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _GET_FLAGS, request))
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP_AND_RUNNING))


def main(directory: Path) -> None:
    """Send test events from in here to in here."""
    from observe.notify import understood
    from observe.on_call import read_route, send_test
    from target.kinds import Secret
    from target.model import OnCall

    loopback_up()
    subprocess.run(["mount", "--bind", str(directory / "hosts"), "/etc/hosts"], check=True)
    _Door.receiver = receiver = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 443), _Door)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "fullchain.pem", directory / "privkey.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found = []
    for url in json.load(sys.stdin):
        services = understood(read_route(OnCall(url=Secret(url))))
        now = datetime.now(UTC)
        deliveries = send_test(services, target="prod", token="f00d" * 8, at=now, seconds=10)
        found.append({"deliveries": [asdict(one) for one in deliveries], "received": receiver.received.copy()})
        receiver.received.clear()
    said = json.dumps(found)
    assert not re.search(r"R0123456789|0a1b2c3d-1111", "".join(str(one["deliveries"]) for one in found))
    sys.stdout.write(said)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
