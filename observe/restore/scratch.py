"""A PostgreSQL that is made for one restore, and thrown away whatever happens.

A container of the database's own image: without a network, without rights,
limited in memory and processor, its data in its own layer. It has no volume:
an engine that is stopped can forget to remove those. Nothing is left to us to
clean up that the engine doesn't clean up itself: the container's first process
ends when its input ends, which is our connection. So it ends when we are
killed, when the machine that we run on is gone, and when the engine is; and
the engine removes what has ended.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from observe.database import NOTHING, statement
from observe.deadline import TimeIsUp, within
from observe.engine import CAUSE, ONE_OFF, PROJECT, SERVICE
from observe.errors import CannotTell
from observe.restore.engine_stream import ERR, OUT, EngineStream, Place
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import docker

    from observe.database import Database
    from observe.engine import Container, Engine
    from target.model import Restore

T = TypeVar("T")
LABEL, TARGET, UNTIL = "operations-checks.restore", "operations-checks.target", "operations-checks.until"
"""Labels of a scratch container: the run that it belongs to, whose backup it is for, and until when it may live."""

CALL = 60.0
"""Seconds for one call of the engine: making a container takes longer than listing some."""
_STARTS = 120.0
_GOES = 30.0
_MAKING = timedelta(minutes=2)
"""A container that was made and never started belongs to a run that is about to start it, for so long."""
_TAIL = 8192
_MOST = 64 * 1024**2
"""Bytes of an answer; what is asked are catalogs."""
_READY = "operations-checks: ready in "
_MIB = 1024**2
_SHARES = 128
"""Of the processor, where a container usually has 1024."""
_KILLED = re.compile(r"terminated by signal 9")

SCRIPT = r"""
set -eu
exec 3<&0 </dev/null
trap 'exit 0' TERM INT
for place in /usr/lib/postgresql/*/bin /usr/local/pgsql/bin; do PATH="$PATH:$place"; done
export PATH LC_ALL=C
data=
for place in /var/tmp /tmp; do
    if mkdir -p "$place/operations-checks" 2>/dev/null; then data="$place/operations-checks"; break; fi
done
[ -n "$data" ] || { echo 'there is no place for the data that this user may write to' >&2; exit 1; }
# Its child's end is its own: nothing else keeps the processes of a container alive.
{ sleep "$LIFETIME"; kill -s TERM 1; } &
cat <&3 >/dev/null &
input=$!
env -u LC_ALL initdb -D "$data" "$@" >/dev/null
{ printf '%s\n' "$SETTINGS"; echo "unix_socket_directories = '$data'"; } >>"$data/postgresql.conf"
pg_ctl -D "$data" -w -t 100 -s start
echo "operations-checks: ready in $data"
wait "$input"
"""
"""What runs in the container. When it ends, the kernel ends everything else in it."""

_PSQL = r"""
for place in /usr/lib/postgresql/*/bin /usr/local/pgsql/bin; do PATH="$PATH:$place"; done
export LC_ALL=C
exec psql "$@"
"""


@dataclass(frozen=True)
class Cluster:
    """What the live database is, as far as another has to be made like it.

    Attributes:
        version: Its server's, as `server_version_num`.
        database: Its name.
        encoding: Its encoding.
        locale: What `initdb` is to be told of its locale.
        size: Its size in bytes.
        superuser: The role that the cluster was made with.
        roles: The names of the others.
    """

    version: int
    database: str
    encoding: str
    locale: tuple[str, ...]
    size: int
    superuser: str
    roles: tuple[str, ...]

    @property
    def major(self) -> int:
        """The major version."""
        return self.version // 10000


def cluster(database: Database) -> Cluster:
    """Ask the live database what another has to be made like.

    Raises:
        CannotTell: If it can't be asked.
    """
    (seen,) = database.ask("restore_cluster")
    roles = database.ask("restore_roles")
    first = [str(one["role"]) for one in roles if one["first"]]
    return Cluster(
        version=int(seen["version"]),
        database=str(seen["database"]),
        encoding=str(seen["encoding"]),
        locale=_locale(seen),
        size=int(seen["size"]),
        superuser=first[0] if first else "postgres",
        roles=tuple(str(one["role"]) for one in roles if not one["first"]),
    )


def _locale(seen: Mapping[str, Any]) -> tuple[str, ...]:
    """The options of `initdb`; of a provider only where it isn't the C library, which old versions have no word for."""
    usual = (f"--lc-collate={seen['collate']}", f"--lc-ctype={seen['ctype']}")
    rules = (f"--icu-rules={seen['icu_rules']}",) if seen["icu_rules"] else ()
    if seen["provider"] == "i":
        return (*usual, "--locale-provider=icu", f"--icu-locale={seen['locale']}", *rules)
    if seen["provider"] == "b":
        return (*usual, "--locale-provider=builtin", f"--builtin-locale={seen['locale']}")
    return usual


@dataclass(frozen=True)
class Said:
    """How a client's session in the container ended.

    Attributes:
        status: psql's exit status.
        out: What it printed.
        complaint: What it printed on its standard error; may hold data, and is shown to nobody.
    """

    status: int
    out: bytes
    complaint: bytes


class Scratch:
    """The server; use it in a `with` statement. Its database is empty and has the live one's name.

    Args:
        engine: Where the live one's container is, or whose disk serves.
        source: That container; or an image by its name, where somebody else manages the live one.
        like: What the server is made like.
        limits: What it may use.
        target: The target's name.
        token: The run's.
        seconds: How long it may live at most, in seconds.
    """

    def __init__(
        self,
        engine: Engine,
        source: Container | str,
        like: Cluster,
        limits: Restore,
        *,
        target: str,
        token: str,
        seconds: float,
    ) -> None:
        self._engine, self._source, self._limits = engine, source, limits
        self._image = source if isinstance(source, str) else source.image
        self._called = f"the image {source}" if isinstance(source, str) else f"{source.name}'s image"
        self.like = like
        self.database = like.database
        self._labels = {
            LABEL: token,
            TARGET: target,
            UNTIL: str(int(time.time() + seconds)),
            # An image that Compose built has these itself, and would make us one of the project's own.
            PROJECT: "",
            SERVICE: "",
            ONE_OFF: "True",
        }
        self._lifetime = seconds
        self.id = ""
        self.data = ""
        self._lifeline: EngineStream | None = None
        self._log = bytearray()
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self.place.must_stream()
        try:
            self._make()
            self._start()
            self._found_database()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Making it, and taking it away.

    @cached_property
    def place(self) -> Place:
        """Where the engine listens."""
        client = self._ask("be reached", lambda client: client)
        return Place(self._engine.socket, str(client.api.base_url), str(client.api.api_version))

    def _make(self) -> None:
        memory = int(self._limits.memory)

        def make(client: docker.DockerClient) -> str:
            api = client.api
            about = api.inspect_image(self._image)["Config"] or {}
            places = about.get("Volumes") or {}
            of = about if isinstance(self._source, str) else self._source.settings.plain
            user = str(of.get("User") or "")
            user = "postgres" if user.partition(":")[0] in {"", "0", "root"} else user
            return str(
                api.create_container(
                    self._image,
                    ["-c", SCRIPT, "restore", *self._initdb()],
                    entrypoint=["sh"],
                    name=f"operations-checks-restore-{secrets.token_hex(4)}",
                    user=user,
                    environment={"LIFETIME": str(int(self._lifetime)), "SETTINGS": "\n".join(self._settings())},
                    labels=self._labels,
                    # The input is ended for good when whoever is attached to it goes.
                    stdin_open=True,
                    detach=False,
                    healthcheck={"test": ["NONE"]},
                    host_config=api.create_host_config(
                        auto_remove=True,
                        # In the place of the image's volumes; nothing is written there.
                        tmpfs=dict.fromkeys(places, "size=64k"),
                        network_mode="none",
                        cap_drop=["ALL"],
                        security_opt=["no-new-privileges"],
                        mem_limit=memory,
                        memswap_limit=memory,
                        shm_size=memory // 2,
                        nano_cpus=int(min(float(self._limits.cpus), float(api.info()["NCPU"])) * 1e9),
                        cpu_shares=_SHARES,
                        pids_limit=256,
                        log_config={"Type": "none"},
                    ),
                )["Id"]
            )

        self.id = self._ask("make a scratch container", make)

    def _initdb(self) -> tuple[str, ...]:
        like = self.like
        given = (f"--username={like.superuser}", "--auth=trust", f"--encoding={like.encoding}", "--lc-messages=C")
        return (*given, "--no-sync", *like.locale)

    def _settings(self) -> tuple[str, ...]:
        """PostgreSQL's: nothing has to survive, and nobody else is there."""
        memory = int(self._limits.memory) // _MIB
        return (
            "listen_addresses = ''",
            *(f"{name} = off" for name in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")),
            "wal_level = minimal",
            "max_wal_senders = 0",
            f"max_wal_size = '{self.journal // _MIB}MB'",
            "checkpoint_timeout = '1h'",
            f"shared_buffers = '{max(16, memory // 8)}MB'",
            f"maintenance_work_mem = '{max(16, memory // 4)}MB'",
            "max_connections = 20",
            # A statement that fails has data in it: no log may have it.
            "log_min_messages = log",
            "log_min_error_statement = panic",
            "log_error_verbosity = terse",
        )

    @property
    def journal(self) -> int:
        """Bytes that the server's write-ahead log may take."""
        return min(max(self.like.size, 256 * _MIB), 2048 * _MIB)

    def _start(self) -> None:
        self._lifeline = EngineStream(self.place, CALL)
        try:
            self._lifeline.open(f"containers/{self.id}/attach?stream=1&stdin=1&stdout=1&stderr=1")
            self._lifeline.sock.settimeout(None)
        except Exception as error:  # noqa: BLE001  sockets and HTTP have many
            raise self.gone("attach to the scratch container", error) from None
        threading.Thread(target=self._listen, name="scratch", daemon=True).start()
        self._ask("start the scratch container", lambda client: client.api.start(self.id))
        if not self._ready.wait(_STARTS):
            raise CannotTell(f"the scratch server did not start within {say_span(timedelta(seconds=_STARTS))}")
        if not self.data:
            raise CannotTell(
                f"the scratch server did not start in a container of {self._called}: {self._last_words()}",
                mend="See whether that image can start a PostgreSQL of its own: initdb and pg_ctl have to be in it.",
            )

    def _listen(self) -> None:
        """Read what the container prints until it ends: nobody else keeps it."""
        assert self._lifeline is not None
        with suppress(Exception):  # it ends with the connection, however that ends
            for _, data in self._lifeline.frames():
                self._log += data
                if not self.data and (found := re.search(_READY.encode() + rb"(\S+)\n", self._log)):
                    self.data = found[1].decode()
                    self._ready.set()
                del self._log[:-_TAIL]
        self._ready.set()

    def _last_words(self) -> str:
        lines = self._log.decode("utf-8", errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return said[-1][:200] if said else "it said nothing"

    @property
    def out_of_memory(self) -> bool:
        """Whether a process of the server was killed, which nobody does but the kernel when memory is short."""
        return _KILLED.search(self._log.decode("utf-8", errors="replace")) is not None

    def _found_database(self) -> None:
        """Make the roles and the empty database."""
        names = [f"CREATE ROLE {_quoted(role)} NOLOGIN;" for role in self.like.roles]
        if self.database != "postgres":
            names.append(f"CREATE DATABASE {_quoted(self.database)} TEMPLATE template0;")
        failed = [why for why in self.tell(names, CALL, database="postgres") if why]
        if failed:
            raise CannotTell(f"the scratch server could not be made like the live one: {failed[0]}")

    def close(self) -> None:
        """Take it away. What can't be taken away now ends and goes by itself."""
        if self.id:
            with suppress(CannotTell):
                self._ask("remove the scratch container", lambda client: _remove(client, self.id))
        if self._lifeline is not None:
            with suppress(OSError, AttributeError):
                self._lifeline.sock.close()
            self._lifeline.close()
            self._lifeline = None

    # Talking to it.

    def enter(self, database: str) -> None:
        """From now on ask that database, which the dump makes itself, and have none of the name before.

        Raises:
            CannotTell: If the empty one can't be dropped.
        """
        if self.database != "postgres":
            self.tell([f"DROP DATABASE {_quoted(self.database)};"], CALL, database="postgres")
        self.database = database

    def psql(self, *options: str, seconds: float, database: str = "") -> Session:
        """A client's session, to be used in a `with` statement.

        Raises:
            CannotTell: If the engine doesn't make one.
        """
        command = ["sh", "-c", _PSQL, "psql", "-X", "-q", "-w", "-h", self.data, "-U", self.like.superuser]
        command += ["-d", database or self.database, *options, "-f", "-"]

        def make(client: docker.DockerClient) -> str:
            return str(client.api.exec_create(self.id, command, stdin=True, stdout=True, stderr=True)["Id"])

        return Session(self, self._ask("begin a session in the scratch container", make), seconds)

    def said(self, script: bytes, *options: str, seconds: float, database: str = "") -> Said:
        """What a short script comes to.

        Raises:
            CannotTell: If the engine goes away, or it takes too long.
        """
        with self.psql(*options, seconds=seconds, database=database) as session:
            try:
                return within(seconds, lambda: session.through(script), give_up=session.give_up)
            except TimeIsUp as late:
                limit = say_span(timedelta(seconds=late.seconds))
                raise CannotTell(
                    f"the restored database did not answer within {limit}",
                    mend="Give it longer (timeouts.counting), or more memory and processor (restore).",
                ) from None

    def tell(self, statements: Sequence[str], seconds: float, database: str = "") -> list[str]:
        """Have statements done one by one, and say of each why it failed; nothing where it didn't.

        Raises:
            CannotTell: As for :meth:`ask_together`.
        """
        from observe.restore.complaints import Complaints

        lines = [" ".join(one.split()).rstrip(";") + ";" for one in statements]
        complaints = Complaints(len(lines) + 1)
        said = self.said(
            "\n".join([*lines, ""]).encode(),
            *("-v", "VERBOSITY=verbose", "-v", "SHOW_CONTEXT=never", "-o", "/dev/null"),
            seconds=seconds,
            database=database,
        )
        complaints.take(said.complaint)
        complaints.end()
        if said.status != 0:
            raise self.fallen(said.status)
        why = {one.line: one.masked(lambda _: True) for one in complaints.kept}
        return [why.get(number, "") for number in range(1, len(lines) + 1)]

    def ask(self, name: str, names: Mapping[str, str] = NOTHING, *, seconds: float = CALL) -> list[dict[str, Any]]:
        """As :meth:`observe.database.Database.ask`, of the restored database.

        Raises:
            CannotTell: As for :meth:`ask_together`.
        """
        (rows,) = self._asked([(name, statement(name, names))], seconds)
        return rows

    def ask_together(self, names: Sequence[str], seconds: float) -> dict[str, list[dict[str, Any]]]:
        """As :meth:`observe.database.Database.ask_together`, of the restored database.

        What JSON has no word for comes as PostgreSQL writes it: times as text.

        Raises:
            CannotTell: If the engine goes away, the server refuses, or it takes too long.
        """
        return dict(zip(names, self._asked([(name, statement(name)) for name in names], seconds), strict=True))

    def _asked(self, questions: Sequence[tuple[str, str]], seconds: float) -> list[list[dict[str, Any]]]:
        mark = f"-- {secrets.token_hex(16)}"
        script = ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;", f"SET statement_timeout = {int(seconds * 1000)};"]
        for _, text in questions:
            # Statements of our own, each of one SELECT.
            script += [f"SELECT coalesce(json_agg(t), '[]') FROM (\n{text}\n) AS t;"]  # noqa: S608
            script += [f"\\echo '{mark}'"]
        said = self.said("\n".join([*script, ""]).encode(), "-A", "-t", "-v", "ON_ERROR_STOP=1", seconds=seconds)
        answers = said.out.decode("utf-8", errors="replace").split(f"{mark}\n")
        if said.status == 3:
            asked = questions[min(len(answers) - 1, len(questions) - 1)][0]
            raise CannotTell(f"the restored database could not say {asked}")
        if said.status != 0 or len(answers) != len(questions) + 1:
            raise self.fallen(said.status)
        return [json.loads(one) for one in answers[:-1]]

    def fallen(self, status: int) -> CannotTell:
        """Why there is no server any more, as far as that can be told.

        Args:
            status: psql's exit status.
        """
        seen = self._seen()
        if self.out_of_memory or status == 137 or (seen or {}).get("OOMKilled"):
            return CannotTell(
                f"the scratch server ran out of its {say_bytes(self._limits.memory)} of memory",
                mend="Give it more: restore.memory in the target.",
            )
        if seen is None or not seen.get("Running"):
            return self.gone("keep the scratch container until the end")
        return CannotTell(f"the scratch server's client ended with status {status}")

    def _seen(self) -> Mapping[str, Any] | None:
        """The container's state; None when there is none any more."""
        from docker.errors import NotFound

        def question(client: docker.DockerClient) -> Mapping[str, Any] | None:
            try:
                state: Mapping[str, Any] = client.api.inspect_container(self.id)["State"]
            except NotFound:
                return None
            return state

        return self._ask("say how the scratch container is", question)

    def status(self, session: str) -> int | None:
        """How a session ended; None while it runs.

        Raises:
            CannotTell: If the engine or the container is gone.
        """
        seen = self._ask("say how a session ended", lambda client: client.api.exec_inspect(session))
        code = seen.get("ExitCode")
        return None if seen.get("Running") or code is None else int(code)

    def _ask(self, what: str, question: Callable[[docker.DockerClient], T]) -> T:
        """Ask the engine, within a limit of our own."""
        return asked(self._engine, what, question)

    def gone(self, what: str, error: BaseException | None = None) -> CannotTell:
        """What is to be said when the engine went away."""
        why = f": {error}" if error is not None and str(error) else ""
        return CannotTell(
            f"the engine did not {what}{why[:300]}",
            mend="See whether it was restarted meanwhile: `journalctl -u docker`. Nothing is left behind.",
            cause=CAUSE,
        )

    def lost(self, error: BaseException | None = None) -> CannotTell:
        """What is to be said when a session broke off: whose fault it was, as far as that can be told."""
        try:
            seen = self._seen()
        except CannotTell as gone:
            return gone
        return self.fallen(137 if (seen or {}).get("OOMKilled") else 2) if seen else self.gone("keep it", error)


class Session:
    """A psql in the container.

    Args:
        scratch: The server.
        name: The session's id.
        seconds: Time limit of each read and write, in seconds.
    """

    def __init__(self, scratch: Scratch, name: str, seconds: float) -> None:
        self._scratch, self._name = scratch, name
        self._stream = EngineStream(scratch.place, seconds)

    def __enter__(self) -> Self:
        try:
            self._stream.open(f"exec/{self._name}/start", {"Detach": False, "Tty": False})
        except Exception as error:  # noqa: BLE001  sockets and HTTP have many
            self._stream.close()
            raise self._scratch.gone("begin a session in the scratch container", error) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def put(self, data: bytes) -> None:
        """Put in; waits until there is room.

        Raises:
            OSError: If nobody takes it any more.
        """
        self._stream.send_on(data)

    def end_input(self) -> None:
        """Say that nothing more comes."""
        self._stream.end_input()

    def frames(self) -> Iterable[tuple[int, bytes]]:
        """What comes out."""
        return self._stream.frames()

    def give_up(self) -> None:
        """Let whoever reads or writes come to an end."""
        self._stream.give_up()

    def status(self) -> int:
        """How it ended, when its output has ended.

        Raises:
            CannotTell: If the engine or the container is gone.
        """
        for _ in range(100):
            if (status := self._scratch.status(self._name)) is not None:
                return status
            time.sleep(0.05)  # its output ends a moment before it does
        raise CannotTell("a session in the scratch container did not end")

    def through(self, script: bytes) -> Said:
        """Put a short script in and read what it comes to.

        Raises:
            CannotTell: If the engine goes away, or the answer is too long.
        """
        found = {OUT: bytearray(), ERR: bytearray()}
        try:
            threading.Thread(target=self._all_of, args=(script,), daemon=True).start()
            for kind, data in self.frames():
                found.get(kind, found[ERR]).extend(data)
                if sum(map(len, found.values())) > _MOST:
                    raise CannotTell(f"the restored database's answer is longer than {say_bytes(_MOST)}")
        except OSError as error:
            raise self._scratch.lost(error) from None
        return Said(self.status(), bytes(found[OUT]), bytes(found[ERR]))

    def _all_of(self, script: bytes) -> None:
        with suppress(OSError):  # the reader says why
            self.put(script)
            self.end_input()


def asked(engine: Engine, what: str, question: Callable[[docker.DockerClient], T], seconds: float = CALL) -> T:
    """Ask the engine something that takes longer than a list of containers.

    Raises:
        CannotTell: If it can't be reached, refuses, or doesn't answer in time.
    """
    try:
        # The engine's own limit comes after ours, since it speaks of logs.
        return within(seconds, lambda: engine.ask(what, question, seconds=seconds + 1, give_up=lambda: None))
    except TimeIsUp:
        raise CannotTell(
            f"the engine did not {what} within {say_span(timedelta(seconds=seconds))}",
            mend="See whether `docker ps` answers on the host; restart the engine if it hangs.",
            cause=CAUSE,
        ) from None


def remove_leftovers(engine: Engine, target: str) -> tuple[str, ...]:
    """Remove the scratch containers that earlier runs on this target have left behind, and say which.

    One that runs belongs to a run that lives, since it ends with that; another operator's is left alone. Left behind
    are those that have ended, that were made and never started, and that live longer than they may.

    Raises:
        CannotTell: If the engine can't be asked.
    """

    def question(client: docker.DockerClient) -> tuple[str, ...]:
        found = client.api.containers(all=True, filters={"label": [LABEL, f"{TARGET}={target}"]})
        now = time.time()
        left = [one for one in found if _left_behind(one, now)]
        for one in left:
            _remove(client, one["Id"])
        return tuple(one["Names"][0].lstrip("/") if one.get("Names") else one["Id"][:12] for one in left)

    return asked(engine, "remove what earlier runs have left behind", question)


def _left_behind(one: Mapping[str, Any], now: float) -> bool:
    if one["State"] == "removing":
        return False
    if one["State"] == "created":
        return now - float(one["Created"]) > _MAKING.total_seconds()
    until = str(one["Labels"].get(UNTIL, ""))
    late = until.isdigit() and now > int(until) + _GOES
    return late or one["State"] not in {"running", "restarting", "paused"}


def _remove(client: docker.DockerClient, container: str) -> None:
    """Remove a container and its volumes, and wait until it is gone."""
    from docker.errors import APIError, NotFound

    deadline = time.monotonic() + _GOES
    while True:
        try:
            client.api.remove_container(container, force=True, v=True)
        except NotFound:
            return
        except APIError:
            # The engine is removing it itself.
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
