"""An engine that answers what a manager once said: a server on loopback, for proofs of how it is read."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWERS = Path(__file__).parent / "answers"
MANAGER = "node1"


def recorded(situation: str) -> dict[str, Any]:
    """What the manager said in a situation, by list."""
    answers: dict[str, Any] = json.loads((ANSWERS / f"{situation}.json").read_text(encoding="utf-8"))
    return answers


@contextmanager
def saying(answers: dict[str, Any], history: int = 5) -> Iterator[str]:
    """Such an engine, for the length of a block; its address.

    Args:
        answers: As :func:`recorded`.
        history: How many tasks of a slot it says that it keeps.
    """
    nodes = answers["nodes"]["body"] if answers["nodes"]["status"] == 200 else []
    me = next((one["ID"] for one in nodes if one["Description"]["Hostname"] == MANAGER), "")
    kept = {"Spec": {"Orchestration": {"TaskHistoryRetentionLimit": history}}}
    more = {
        "version": {"ApiVersion": "1.41", "Version": "20.10.24"},
        "info": {"Swarm": {"NodeID": me, "Cluster": kept}},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = urlsplit(self.path).path.rpartition("/")[2]
            said = answers.get(name, {"status": 200, "body": more.get(name, {})})
            body = json.dumps(said["body"]).encode()
            self.send_response(said["status"])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
