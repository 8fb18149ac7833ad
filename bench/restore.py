"""The restore drill beside `gzip -dc | psql`: `python -m bench.restore`, without a lab.

A database is filled from series of numbers, the same each time, and dumped.
Its dump is restored in turn by the drill, comparison with the live database
and index checks included, and by what a person types, into a container of the
same image with default settings; pair by pair.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from bench.backup import peak
from bench.timing import compare, timed, usual_environment
from proofs.containers import postgres
from target.kinds import say_bytes

if TYPE_CHECKING:
    from proofs.containers.postgres import Postgres

ROOT = Path(__file__).parent.parent
FILL = """
CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
INSERT INTO pgbench_accounts SELECT n, 1 + n % 12, n * 7 % 1000, md5(n::text) FROM generate_series(1, {accounts}) n;
CREATE TABLE auth_user (id serial PRIMARY KEY, username varchar(150) UNIQUE, password varchar(128), email varchar(254),
    date_joined timestamptz);
INSERT INTO auth_user (username, password, email, date_joined) SELECT 'user' || n,
    'pbkdf2_sha256$720000$' || md5('s' || n) || '$' || md5('a' || n) || md5('b' || n), 'user' || n || '@example.org',
    '2025-01-01'::timestamptz + n * interval '1 minute' FROM generate_series(1, {users}) n;
CREATE TABLE orders (id bigserial PRIMARY KEY, user_id int REFERENCES auth_user, placed timestamptz, state text,
    total numeric(10, 2), note text);
INSERT INTO orders (user_id, placed, state, total, note) SELECT 1 + n % {users},
    '2025-01-01'::timestamptz + n * interval '20 seconds', (ARRAY['new', 'paid', 'sent'])[1 + n % 3], n % 9999 / 7.0,
    md5('n' || n) || ' ' || md5('o' || n) FROM generate_series(1, {orders}) n;
CREATE INDEX orders_user ON orders (user_id);
CREATE INDEX orders_placed ON orders (placed);
CREATE TABLE activity (id bigserial PRIMARY KEY, at timestamptz, who int REFERENCES auth_user, item text);
INSERT INTO activity (at, who, item) SELECT '2025-01-01'::timestamptz + n * interval '30 seconds', 1 + n % {users},
    'item ' || md5(n::text) FROM generate_series(1, {orders}) n;
CREATE INDEX activity_at ON activity (at);
"""
DRILL = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import docker
from observe.database import Address, Database
from observe.engine import Engine, _described
from observe.host import Host
from observe.restore.drill import Allowed, Means, drill
from target.kinds import Secret
from target.model import Restore
container, port, password, path = sys.argv[1:]
source = _described(docker.from_env().api.inspect_container(container))
live = Database(lambda: Address("127.0.0.1", int(port), "stock", "ops", Secret(password)), 30, "bench")
means = Means(Engine("", 10), source, live, Host("local://", 10), Restore(), "bench", "bench", 3600, 300)
allowed = Allowed(0.1, 100, {"activity": "public.activity", "activity_at": "at"})
seen = drill(means, Path(path), datetime.now(UTC), allowed)
said = f"load {seen.loaded.seconds:.2f} s, whole {seen.whole_seconds:.2f} s"
print(f"{said}; {seen.said}; {seen.comparison.said}", file=sys.stderr)
sys.exit(not (seen.proven and seen.matches))
"""
BARE = """
import docker, psycopg, testinfra
import observe.restore.drill, observe.engine
docker.from_env().ping()
"""


class Standing:
    """A server with default settings, which a person would have made before: not a part of the time."""

    def __init__(self, live: Postgres) -> None:
        client, image = live.container.client, live.container.image.id
        environment = {
            name: value for name, _, value in (one.partition("=") for one in live.container.attrs["Config"]["Env"])
        }
        environment.pop("PGDATA", None)
        environment.pop("PATH", None)
        self.container: Any = client.containers.run(image, environment=environment, detach=True)
        while self.container.exec_run(["pg_isready", "-q", "-h", "127.0.0.1"]).exit_code:
            time.sleep(0.2)

    def load(self, path: Path) -> float:
        """Seconds that the usual command takes into a new database."""
        name = f"b{uuid4().hex[:8]}"
        self.container.exec_run(["createdb", "-U", "chief", name])
        command = f"gzip -dc {path} | docker exec -i {self.container.id} psql -X -q -o /dev/null -U chief {name}"
        seconds = timed(["sh", "-c", command], cwd=ROOT, environment=usual_environment(), statuses=(0,))
        self.container.exec_run(["dropdb", "-U", "chief", name])
        return seconds


def fill(live: Postgres, path: Path, size: int) -> int:
    """Fill the live database, dump it as a backup, and return the bytes of its text."""
    # A user is some 5.7 kB of text, in the four tables together.
    users = max(1000, size // 5700)
    with live.connect() as session:
        session.execute(FILL.format(accounts=users * 12, users=users, orders=users * 24).encode())
        session.execute("VACUUM ANALYZE")
    dump = f"docker exec {live.container.id} pg_dump -U chief stock"
    subprocess.run(["sh", "-c", f"{dump} | gzip -6 > {path}"], check=True)
    count = subprocess.run(["sh", "-c", f"gzip -dc {path} | wc -c"], check=True, capture_output=True)
    return int(count.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="the restore drill beside gzip -dc | psql")
    parser.add_argument("--mb", type=int, default=524, help="size of the dump before it is packed, in 10^6 bytes")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-restore-") as scratch, postgres.running() as live:
        path = Path(scratch, "synk_backup_20261122_020000.sql.gz")
        size = fill(live, path, options.mb * 10**6)
        sys.stdout.write(f"{say_bytes(size)} of SQL, {say_bytes(path.stat().st_size)} packed\n")
        standing = Standing(live)
        arguments = [live.container.id, str(live.port), postgres.PASSWORDS["ops"], str(path)]
        drill = [sys.executable, "-c", DRILL, *arguments]
        try:
            whole = partial(timed, drill, cwd=ROOT, environment=usual_environment(), statuses=(0,))
            compare(
                "whole drill, comparison included / gzip -dc | psql", whole, lambda: standing.load(path), options.rounds
            )
            said = subprocess.run(drill, cwd=ROOT, check=True, capture_output=True, text=True)
            sys.stdout.write(said.stderr)
            above = peak(*drill) - peak(sys.executable, "-c", BARE)
            sys.stdout.write(f"{'peak above the bare process':58} {say_bytes(above)}\n")
        finally:
            standing.container.remove(force=True, v=True)


if __name__ == "__main__":
    main()
