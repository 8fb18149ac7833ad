"""Requests of those who try to break in, and answers that they should not get."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

from lab import traffic
from lab.faults.fault import Fault, Took, eventually, status
from lab.faults.logs import container_logs_restored, proxy_logs_restored
from lab.faults.proxy import SITE, edited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.stack import Lab

PROBES = ("/wp-login.php", "/x.jsp", "/%77p-login%2ephp", "//WP-Admin/", "/%2577p-login%252Ephp", "/X.JSP", "/.env")
# Where the proxy serves whatever file there is.
LEFT_BEHIND = "/assets/info.php"
ANY_PATH = r"location / \{\n\s*return 404;"
START_PAGE = "location / {\n        try_files /index.html =404;"


def probes_refused(lab: Lab) -> Iterator[Took]:
    """Ask for what those who break in ask for, in disguise too; it is answered 404, and redirected over plain HTTP."""
    with _sent(lab, PROBES, plain=True) as took:
        yield took


def probe_served(lab: Lab) -> Iterator[Took]:
    """Leave a file where the proxy serves it, and ask for it."""
    try:
        lab.execute("nginx", "sh", "-c", f"echo 'what nobody should see' > /srv/www{LEFT_BEHIND}")
        with _sent(lab, (LEFT_BEHIND,)) as took:
            yield took
    finally:
        lab.execute("nginx", "rm", "-f", f"/srv/www{LEFT_BEHIND}")


def start_page_for_all(lab: Lab) -> Iterator[Took]:
    """Have the proxy answer every unknown path with the start page, and ask for what those who break in ask for."""
    with (
        edited(lab, SITE, {ANY_PATH: START_PAGE}, lambda: status(lab, "/nowhere")),
        _sent(lab, PROBES) as took,
    ):
        yield took


def access_log_gone(lab: Lab) -> Iterator[Took]:
    """Empty the access log and move its rotated files away."""
    current = lab.nginx_logs / "access.log"
    content, before = current.read_bytes(), _logs(lab)
    with tempfile.TemporaryDirectory(prefix=".kept-", dir=lab.nginx_logs.parent) as kept:
        try:
            for path in lab.nginx_logs.glob("access.log.*"):
                path.rename(Path(kept) / path.name)
            # The proxy writes a request's line after the answer has gone out: that of the last one may still come.
            eventually(lambda: _emptied(current), bool)
            yield Took(before, _logs(lab))
        finally:
            # The proxy has it open, and appends.
            with current.open("r+b") as file:
                file.truncate()
                file.write(content)
            for path in Path(kept).iterdir():
                path.rename(lab.nginx_logs / path.name)


def _emptied(file: Path) -> bool:
    """Empty a file that somebody appends to; whether it is still empty a moment later."""
    with file.open("r+b") as opened:
        opened.truncate()
    time.sleep(0.3)
    return file.stat().st_size == 0


@contextmanager
def _sent(lab: Lab, paths: tuple[str, ...], *, plain: bool = False) -> Iterator[Took]:
    """Ask for some paths; afterwards the logs don't know of it."""
    with container_logs_restored(lab, "backend"), proxy_logs_restored(lab):
        before = _asked(lab)
        with traffic.visiting(lab) as visitor:
            answers = {visitor.ask(path).status for path in paths}
        if plain:
            answers.add(_ask_plainly(lab, paths[0]))
        # A line is written when its answer was sent, which may be after it was read.
        after = eventually(lambda: _asked(lab), lambda seen: seen == before + len(paths) + plain)
        yield Took(f"{before} requests of the lab's visitor", f"{after}, these answered {sorted(answers)}")


def _ask_plainly(lab: Lab, path: str) -> int:
    """Ask over plain HTTP."""
    with closing(HTTPConnection("127.0.0.1", lab.http_port, timeout=traffic.LIMIT_SECONDS)) as connection:
        connection.request("GET", path, headers={"Host": lab.domain, "User-Agent": traffic.AGENT})
        return connection.getresponse().status


def _asked(lab: Lab) -> int:
    return (lab.nginx_logs / "access.log").read_text(errors="replace").count(f'"{traffic.AGENT}"')


def _logs(lab: Lab) -> str:
    files = sorted(lab.nginx_logs.glob("access.log*"))
    return f"{len(files)} files of the access log, {files[0].stat().st_size} bytes in the first"


PROBED, SERVED = "exploit-probes", "exploit-probes-refused"

FAULTS = (
    Fault("probes-refused", (PROBED,), "Somebody asked for exploit paths, in disguise too.", probes_refused),
    Fault("probe-served", (PROBED, SERVED), "An exploit path is answered with something of its own.", probe_served),
    Fault("start-page-for-all", (PROBED,), "Exploit paths are answered with the start page.", start_page_for_all),
    Fault(
        "access-log-gone",
        (),
        "The access log is empty, and its rotated files are gone.",
        access_log_gone,
        blinds=(PROBED, SERVED, "error-rate", "response-time", "slow-endpoints", "scale-errors", "scale-response"),
    ),
)
