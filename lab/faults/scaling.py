"""Faults that call for more than one of something: many users on one backend, slow without a cache, a busy database."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from lab import history, traffic
from lab.engine import client
from lab.faults.fault import Fault, FaultDidNotTake, Took, eventually
from lab.faults.logs import container_logs_restored, proxy_logs_restored
from lab.faults.services import RESOLVER_SECONDS
from lab.faults.targets import derived

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.stack import Lab

# As many as are missing to one more than the guide's thousand. Nobody can log in as one of them.
CROWD = """
INSERT INTO auth_user (
    id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined
)
SELECT number, '!', false, 'crowd' || number, '', '', '', false, true, now()
FROM
    (SELECT max(id) AS last, 1001 - count(*) FILTER (WHERE is_active) AS missing FROM auth_user) AS there,
    generate_series(last + 1, last + missing) AS number
"""
# More than the guide's second.
SLOW_SECONDS = 1.1
SLOW_REQUESTS = 8
# A database that may use a quarter of a processor is kept busy also on a machine that has others to serve, and still
# has something left for who asks it.
PERIOD = 100_000
QUOTA = 25_000
QUERIES = 2
BUSY_WITHIN = 30.0
BUSY_SECONDS = 600


def users_on_one_backend(lab: Lab) -> Iterator[Took]:
    """Let 1,001 users be there, and one of the two backends be stopped."""
    before = _users_and_backends(lab)
    container = lab.containers("backend")[-1]
    # The backups have none of them, which is no news about the backups.
    with _more_users(lab), derived(lab, "[limits]\nrestore_row_floor = 1000\n") as target:
        try:
            container.stop(timeout=2)
            # Until the proxy's resolver has forgotten it.
            time.sleep(RESOLVER_SECONDS)
            yield Took(before, _users_and_backends(lab), target)
        finally:
            container.start()


@contextmanager
def _more_users(lab: Lab) -> Iterator[None]:
    """Fill the table of users up; their ids are taken from no sequence, so that it stays as it is."""
    try:
        lab.psql(CROWD)
        yield
    finally:
        lab.psql("DELETE FROM auth_user WHERE username LIKE 'crowd%'")
        # Else the dead rows and the room that they took would be there for others to find.
        lab.psql("VACUUM (FULL, ANALYZE) auth_user")


def _users_and_backends(lab: Lab) -> str:
    users = lab.psql("SELECT count(*) FROM auth_user WHERE is_active").strip()
    running = sum(container.status == "running" for container in lab.containers("backend"))
    return f"{users} active users, {running} backends run"


def slow_without_cache(lab: Lab) -> Iterator[Took]:
    """Have most of the last two minutes' requests take 1.1 s, and no service be the cache."""
    # Of two minutes no single route is judged, however often it was asked for in them.
    limits = "[limits]\nendpoint_floor = 1000000\n"
    tables = ('[windows]\nresponse_time = "2 min"\n', '[services]\ncache = "none"\n', limits)
    with proxy_logs_restored(lab), derived(lab, *tables) as target:
        before = _slow(lab)
        # Two backends, each of which answers one after the other.
        with ThreadPoolExecutor(2) as together:
            list(together.map(lambda _: _ask_slowly(lab), range(SLOW_REQUESTS)))
        yield Took(before, _slow(lab), target)


def _ask_slowly(lab: Lab) -> None:
    with traffic.visiting(lab) as visitor:
        visitor.ask(f"/api/lab/slow/?seconds={SLOW_SECONDS}")


def _slow(lab: Lab) -> str:
    lines = (lab.nginx_logs / "access.log").read_text(errors="replace").splitlines()
    slow = sum(float(line.rpartition(" ")[2]) > 1 for line in lines)
    return f"{slow} of the log's {len(lines)} requests took more than 1 s"


def busy_database(lab: Lab) -> Iterator[Took]:
    """Hold the database to a small part of a processor and give it queries that take all of that."""
    container = lab.container("db")
    # The backend's health check may find the database late, and say so.
    with container_logs_restored(lab, "db", "backend"), ExitStack() as undone:
        before = _busy(lab)
        undone.callback(client().api.update_container, container.id, cpu_quota=-1)
        client().api.update_container(container.id, cpu_period=PERIOD, cpu_quota=QUOTA)
        for _ in range(QUERIES):
            undone.enter_context(_long_query(lab))
        after = eventually(lambda: _busy(lab), lambda seen: seen.startswith("busy"), BUSY_WITHIN)
        if not after.startswith("busy"):
            raise FaultDidNotTake(f"this machine leaves the database too little to be busy with: {after}")
        yield Took(before, after)


@contextmanager
def _long_query(lab: Lab) -> Iterator[None]:
    """A query that computes and reads nothing, for as long as the block takes and at most for ten minutes."""
    import psycopg

    ended: list[BaseException] = []

    def compute() -> None:
        try:
            connection.execute(
                f"DO $$ BEGIN WHILE clock_timestamp() < now() + interval '{BUSY_SECONDS} seconds' LOOP "
                "PERFORM sqrt(2); END LOOP; END $$"
            )
        except psycopg.Error as error:
            ended.append(error)

    with history.connect(lab) as connection:
        worker = threading.Thread(target=compute)
        worker.start()
        try:
            yield
        finally:
            connection.cancel()
            worker.join()
    if not isinstance(ended[0] if ended else None, psycopg.errors.QueryCanceled):
        raise FaultDidNotTake(f"the query didn't run until it was ended: {ended or 'it came to its end'}")


def _busy(lab: Lab) -> str:
    """Whether the database takes nearly all of the processor that it may use, over a second."""
    container = lab.container("db")
    quota, seen = container.attrs["HostConfig"]["CpuQuota"], container.stats(stream=False)
    now, before = seen["cpu_stats"], seen["precpu_stats"]
    may = quota / PERIOD if quota > 0 else now["online_cpus"]
    used = (now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]) / 1e9
    return f"{'busy' if used > 0.9 * may else 'not busy'}, of {may:g} processors"


FAULTS = (
    Fault(
        "users-on-one-backend",
        ("scale-users", "services-up[backend]"),
        "1,001 users are there, and one backend.",
        users_on_one_backend,
    ),
    Fault(
        "slow-without-cache",
        ("scale-response", "response-time"),
        "The site takes longer than a second, and there is no cache.",
        slow_without_cache,
        ("cache-used", "slow-endpoints"),
    ),
    Fault(
        "database-busy",
        ("scale-database-cpu",),
        "Queries take all of the processor that the database may use.",
        busy_database,
    ),
)
