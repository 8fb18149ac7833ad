"""Faults that show in logs and in the database: errors, refused and slow requests, connections, crashes."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from lab import history, traffic
from lab.faults.fault import HEALTHY_SECONDS, Fault, FaultDidNotTake, Took, eventually, status
from lab.faults.logs import container_logs_restored, proxy_logs_restored
from lab.faults.proxy import SITE, edited
from lab.faults.targets import derived
from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.stack import Lab

# Some more than the guide's ten, so that none is missed by a line.
ERRORS = 15
# A little more than two in a hundred.
SHARE = 0.0205
CONNECTIONS = 20
FAIL = "/api/lab/fail/"
COMPLAIN = "/api/lab/complain/"
HARMLESS = "/api/lab/slow/?seconds=0"
STATUS = "/api/status/"
# Ten times as often as in the baseline, and more often than a longer log would have it.
TENFOLD = 10
SLOW_SECONDS = 0.6
SLOW_REQUESTS = 30
AT_ONCE = 10
# A client that runs into the limit so many times.
REFUSED = 50
# API_RATE_LIMIT of the application's settings.
APPLICATION_LIMIT = 300

ASK_INSIDE = """
import http.client
for number in range({count}):
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=10)
    connection.request("GET", "{path}", headers={{"X-Forwarded-Proto": "https"}})
    connection.getresponse().read()
"""


# The backend's log.


def error_burst(lab: Lab) -> Iterator[Took]:
    """Have the application log errors that it handles: a line each, and the request answered 200."""
    with container_logs_restored(lab, "backend"), proxy_logs_restored(lab):
        before = _errors(lab)
        with traffic.visiting(lab) as visitor:
            for _ in range(ERRORS):
                visitor.ask(COMPLAIN)
        yield Took(before, _errors(lab))


def traceback_storm(lab: Lab) -> Iterator[Took]:
    """Have the application raise what nobody catches, asked past the proxy so that its log stays clean."""
    with container_logs_restored(lab, "backend"):
        before = _errors(lab)
        lab.execute("backend", "python3", "-c", ASK_INSIDE.format(count=ERRORS, path=FAIL))
        yield Took(before, _errors(lab))


def _errors(lab: Lab) -> str:
    lines = [
        line
        for container in lab.containers("backend")
        for line in container.logs().decode(errors="replace").splitlines()
    ]
    errors = sum("] ERROR " in line for line in lines)
    return f"{errors} lines at ERROR, {lines.count('Traceback (most recent call last):')} tracebacks"


def new_traceback(lab: Lab) -> Iterator[Took]:
    """Have the application raise once what it has never raised before."""
    with container_logs_restored(lab, "backend"), proxy_logs_restored(lab):
        before = _errors(lab)
        with traffic.visiting(lab) as visitor:
            visitor.ask(FAIL)
        yield Took(before, _errors(lab))


def warning_tenfold(lab: Lab) -> Iterator[Took]:
    """Have the application log the warning that it always has ten times as often as it used to."""
    with container_logs_restored(lab, "backend"), proxy_logs_restored(lab):
        before = _warnings(lab)
        with traffic.visiting(lab) as visitor:
            for _ in range(math.ceil(TENFOLD * _usual_warnings(lab)) - before):
                visitor.ask(traffic.WARN)
        yield Took(f"{before} warnings", f"{_warnings(lab)} warnings")


def _usual_warnings(lab: Lab) -> float:
    """How many of those warnings would be usual in logs as old as these, by the first look."""
    now = dt.datetime.now(dt.UTC)
    with contextlib.closing(sqlite3.connect(lab.history_file)) as known:
        count, covered = known.execute(
            "SELECT sum(count), covered FROM log_window JOIN log_kind ON window = number "
            "WHERE kind LIKE '%mail service was slow%' GROUP BY number ORDER BY until LIMIT 1"
        ).fetchone()
    ages = [now - dt.datetime.fromisoformat(one.attrs["Created"][:19] + "+00:00") for one in lab.containers("backend")]
    usual: float = count * max(1.0, sum(age.total_seconds() for age in ages) / len(ages) / covered)
    return usual


def _warnings(lab: Lab) -> int:
    return sum(container.logs().count(b"mail service was slow") for container in lab.containers("backend"))


def client_over_the_proxys_limit(lab: Lab) -> Iterator[Took]:
    """Let a client ask the API so often at once that the proxy refuses it fifty times."""
    with container_logs_restored(lab, "backend"), proxy_logs_restored(lab):
        before = _refused(lab)
        # Forty may come at once and ten a second after that.
        _together(lab, STATUS, 2 * REFUSED + 80)
        yield Took(before, eventually(lambda: _refused(lab), lambda seen: seen != before))


def client_over_the_applications_limit(lab: Lab) -> Iterator[Took]:
    """Let a client ask past the proxy more often than the application allows in a minute."""
    with container_logs_restored(lab, "backend"):
        before = _refused(lab)
        # Not across the end of a minute, where the count begins anew.
        if (into_minute := time.time() % 60) > 40:
            time.sleep(60.5 - into_minute)
        lab.execute("backend", "python3", "-c", ASK_INSIDE.format(count=APPLICATION_LIMIT + REFUSED, path=STATUS))
        yield Took(before, _refused(lab))


def _refused(lab: Lab) -> str:
    error_log = (lab.nginx_logs / "error.log").read_text(errors="replace")
    lines = sum(container.logs().count(b"rate limited") for container in lab.containers("backend"))
    return f"{error_log.count('limiting requests')} refused by the proxy, {lines} by the application"


# The proxy's log.


def slow_endpoint(lab: Lab) -> Iterator[Took]:
    """Have one endpoint take 0.6 s, asked for more than one in twenty of the last two minutes' requests."""
    with proxy_logs_restored(lab), derived(lab, '[windows]\nresponse_time = "2 min"\n') as target:
        before = _slow(lab)
        # Two at a time: a backend answers one after the other, and its health check must not wait behind ten.
        _together(lab, f"/api/lab/slow/?seconds={SLOW_SECONDS}", SLOW_REQUESTS, clients=2)
        yield Took(before, _slow(lab), target)


def _slow(lab: Lab) -> str:
    """How many of the last day's requests took more than half a second."""
    times = [float(line.rpartition(" ")[2]) for line in _last_day(lab)]
    return f"{sum(seconds > 0.5 for seconds in times)} of {len(times)} requests took more than 500 ms"


def _together(lab: Lab, path: str, count: int, clients: int = AT_ONCE) -> None:
    """Ask for a path so often, so many clients at a time."""

    def some(number: int) -> None:
        with traffic.visiting(lab) as visitor:
            for _ in range(number):
                visitor.ask(path)

    with ThreadPoolExecutor(clients) as together:
        list(together.map(some, [count // clients] * clients))


def two_percent_500(lab: Lab) -> Iterator[Took]:
    """Send so many requests that the application answers 500 that they are two in a hundred."""
    with container_logs_restored(lab, "backend"), proxy_logs_restored(lab):
        before = _answers(lab)
        _ask_for_failures(lab, FAIL)
        yield Took(before, _answers(lab))


def two_percent_502(lab: Lab) -> Iterator[Took]:
    """The same answered 502 by the proxy, one of whose routes leads nowhere."""
    nowhere = {
        r"(location /api/lab/ \{[^}]*)proxy_pass \$backend;": "location /api/lab/ {\n        proxy_pass http://127.0.0.1:9;"
    }
    with proxy_logs_restored(lab):
        before = _answers(lab)
        with edited(lab, SITE, nowhere, lambda: status(lab, HARMLESS)):
            _ask_for_failures(lab, FAIL)
        yield Took(before, _answers(lab))


def _ask_for_failures(lab: Lab, path: str) -> None:
    total = sum(1 for _ in _last_day(lab))
    with traffic.visiting(lab) as visitor:
        for _ in range(math.ceil(SHARE / (1 - SHARE) * total)):
            visitor.ask(path)


def _answers(lab: Lab) -> str:
    statuses = [line.partition('" ')[2][:3] for line in _last_day(lab)]
    failed = sum(code.startswith("5") for code in statuses)
    return f"{failed} of {len(statuses)} requests of the last day answered 5xx"


def _last_day(lab: Lab) -> Iterator[str]:
    since = dt.datetime.now().astimezone() - dt.timedelta(days=1)
    for name in ("access.log.1", "access.log"):
        path: Path = lab.nginx_logs / name
        for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
            when = line.partition("[")[2].partition("]")[0]
            if dt.datetime.strptime(when, "%d/%b/%Y:%H:%M:%S %z") >= since:
                yield line


# The database.


def many_connections(lab: Lab) -> Iterator[Took]:
    """Open twenty connections and leave them idle."""
    before = _connections(lab)
    with ExitStack() as opened:
        for _ in range(CONNECTIONS):
            opened.enter_context(history.connect(lab))
        yield Took(before, _connections(lab))
    eventually(lambda: _connections(lab), lambda seen: seen == before)


def _connections(lab: Lab) -> str:
    count = lab.psql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
    return f"{count.strip()} client connections, this one counted"


def failed_login(lab: Lab) -> Iterator[Took]:
    """Try to log in to the database with a wrong password."""
    import psycopg

    with container_logs_restored(lab, "db"):
        before = _database_log(lab)
        try:
            history.connect(lab, password="not the password").close()  # noqa: S106 - that is the point
        except psycopg.OperationalError:
            yield Took(before, eventually(lambda: _database_log(lab), lambda seen: seen != before))
        else:
            raise FaultDidNotTake("the database took a wrong password")


def backend_process_killed(lab: Lab) -> Iterator[Took]:
    """Kill one of PostgreSQL's processes: it ends all sessions and recovers.

    The crash itself is logged at LOG; those who connect while it recovers are refused with FATAL. The backend is held
    meanwhile: its health check may or may not fall into that second, and would log an error of its own.
    """
    with container_logs_restored(lab, "db", "backend"):
        before = _database_log(lab)
        over = threading.Event()
        callers = [threading.Thread(target=_keep_connecting, args=(lab, over)) for _ in range(4)]
        with _held(lab, "backend"), history.connect(lab) as victim:
            for caller in callers:
                caller.start()
            try:
                lab.execute("db", "sh", "-c", f"kill -9 {victim.info.backend_pid}")
                after = eventually(lambda: _database_log(lab), lambda seen: seen != before)
            finally:
                over.set()
                for caller in callers:
                    caller.join()
            eventually(lambda: _connections_or_nothing(lab), bool)
        # What is paused and goes on counts as starting until its next health check.
        lab.wait_healthy(HEALTHY_SECONDS)
        # The crash took the statistics with it; these at least are as they were.
        lab.psql("ANALYZE")
        yield Took(before, after)


@contextlib.contextmanager
def _held(lab: Lab, service: str) -> Iterator[None]:
    """Pause a service's containers for the length of a block."""
    with ExitStack() as undo:
        for container in lab.containers(service):
            container.pause()
            undo.callback(container.unpause)
        yield


def _keep_connecting(lab: Lab, over: threading.Event) -> None:
    import psycopg

    while not over.is_set():
        try:
            history.connect(lab).close()
        except psycopg.OperationalError:
            continue


def _connections_or_nothing(lab: Lab) -> str:
    try:
        return _connections(lab)
    except LabError:
        return ""


def _database_log(lab: Lab) -> str:
    lines = lab.container("db").logs().decode(errors="replace").splitlines()
    fatal = [line for line in lines if "FATAL: " in line or "PANIC: " in line]
    killed = sum("was terminated by signal" in line for line in lines)
    recovering = sum("the database system is" in line for line in fatal)
    return f"{len(fatal)} FATAL, {recovering} refused while starting or recovering, {killed} processes killed"


ANOMALY, LIMITED = "log-anomalies", "rate-limit-quiet"

FAULTS = (
    Fault("backend-error-burst", ("backend-errors", ANOMALY), "Fifteen errors that were handled.", error_burst),
    Fault("backend-traceback-storm", ("backend-errors", ANOMALY), "Fifteen uncaught exceptions.", traceback_storm),
    Fault("log-new-traceback", (ANOMALY,), "The application raised once what it never raised.", new_traceback),
    Fault("log-warning-tenfold", (ANOMALY,), "An old warning came ten times as often.", warning_tenfold),
    Fault(
        "endpoint-slow",
        ("response-time", "slow-endpoints"),
        "An endpoint takes longer than half a second.",
        slow_endpoint,
    ),
    Fault(
        "client-over-proxy-limit",
        (LIMITED,),
        "The proxy refused a client that asked too often fifty times.",
        client_over_the_proxys_limit,
    ),
    Fault(
        "client-over-application-limit",
        (LIMITED, ANOMALY),
        "The application refused a client that asked too often fifty times, which it had never done.",
        client_over_the_applications_limit,
    ),
    Fault(
        "requests-500",
        ("error-rate", "scale-errors", "backend-errors", ANOMALY),
        "Two in a hundred requests made the application fail.",
        two_percent_500,
    ),
    Fault("requests-502", ("error-rate", "scale-errors"), "Two in a hundred requests led nowhere.", two_percent_502),
    Fault("database-connections", ("database-connections",), "Twenty connections are open.", many_connections),
    Fault("database-login-failed", ("database-log-quiet",), "A login was refused.", failed_login),
    Fault(
        "database-process-killed",
        ("database-log-quiet",),
        "One of PostgreSQL's processes was killed.",
        backend_process_killed,
    ),
)
