"""The database: one read-only session, and the questions that may be asked in it.

Every statement lies in `observe/sql/` and only reads; the session is read-only
as well, which for a superuser is a seat belt and no wall. Use a role with
`pg_monitor` alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from observe.deadline import Once, TimeIsUp, within
from observe.errors import CannotTell, NoAnswer
from observe.own_traffic import NAME
from target.kinds import Secret, say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import psycopg

CAUSE = "database"
SQL = Path(__file__).parent / "sql"
_TOO_MANY = re.compile("too many clients|connection slots are reserved|too many connections for database")
_OUR_OWN = (
    (
        "password authentication failed|no password supplied",
        "user",
        "Set the password of {user} (database.password_file, or OPS_DATABASE__PASSWORD).",
    ),
    ("too many connections for role", "user", "ALTER ROLE {user} CONNECTION LIMIT -1;"),
    ("pg_hba.conf", "user", "Let {user} in from this machine by a line in the server's pg_hba.conf."),
    ('\\brole "', "user", "Make the role {user} as target.example.toml says, or set database.user."),
    ('database "', "name", "Set database.name to one that {user} may connect to."),
    ("unsupported startup parameter", "user", "Connect to PostgreSQL itself and not through a pooler."),
)
"""Why the server refuses us in particular: a pattern, whose name it quotes in its log, and what to do."""
_PLAIN_NAME = re.compile("[a-z_][a-z0-9_]*")
NOTHING: Mapping[str, str] = {}
Question: TypeAlias = tuple[str, str, "Mapping[str, object] | None"]
"""A statement's name, its text, and the values that it is given."""


@dataclass(frozen=True)
class Address:
    """Where the database is and as whom it is asked."""

    host: str
    port: int
    name: str
    user: str
    password: Secret | None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Session:
    """What holds in the session, as the server says it.

    Attributes:
        pid: The server's process that serves it.
        superuser: Whether the role could write in spite of everything.
        sees_all: Whether the role sees the sessions of other roles in full.
    """

    pid: int
    role: str
    database: str
    version: int
    superuser: bool
    sees_all: bool


@dataclass(frozen=True)
class Connection:
    """A client's session.

    Attributes:
        own: Whether it is this run's own.
    """

    pid: int
    role: str
    database: str
    application: str
    client: str
    state: str
    own: bool


@dataclass(frozen=True)
class Connections:
    """The sessions of clients.

    Attributes:
        all: Every one, this run's own included.
    """

    all: tuple[Connection, ...]

    @property
    def own(self) -> int:
        """How many are this run's own."""
        return sum(one.own for one in self.all)

    @property
    def others(self) -> int:
        """How many count."""
        return len(self.all) - self.own

    def by_application(self) -> list[dict[str, str]]:
        """The connections that count, grouped, most first, for the report."""
        groups = Counter(
            (one.application or "(none)", one.role, one.client, one.state) for one in self.all if not one.own
        )
        return [
            {
                "connections": str(number),
                "application": application,
                "role": role,
                "client": client,
                "state": state,
            }
            for (application, role, client, state), number in groups.most_common(20)
        ]


class Database:
    """A read-only session, opened on first use, with a total time limit on every question.

    Args:
        address: Finds out where the database is; may raise CannotTell.
        seconds: Total time limit of the connecting and of each question, in seconds.
        token: The run's token, which stands in the application's name.
        refused: Called when the server refuses us, with the name that it
            quotes in the line about that in its log, so that the line is known as ours.
        met: Called with the roles as which clients were seen to be logged in.
    """

    def __init__(
        self,
        address: Callable[[], Address],
        seconds: float,
        token: str,
        refused: Callable[[str], None] = lambda _name: None,
        met: Callable[[set[str]], None] = lambda _roles: None,
    ) -> None:
        self._find = address
        self._seconds = seconds
        self._token = token
        self._refused = refused
        self._met = met
        self._connection: Once[psycopg.Connection[dict[str, Any]]] = Once(self._open)
        self._lost: CannotTell | None = None
        self._refused_us = False

    def connections(self) -> Connections:
        """All client connections, this run's own marked.

        Raises:
            CannotTell: If the database can't be asked, or hides other roles' sessions.
            NoAnswer: If it takes no more connections.
        """
        # Here alone this is an answer to what was asked; to all else it is only in the way.
        self._connection.get()
        rows = self.ask("connections")
        self.must_show(rows)
        clients = tuple(
            Connection(
                row["pid"],
                row["role"],
                row["database"],
                row["application"],
                row["client"],
                row["state"],
                self.owns(row["pid"], row["application"]),
            )
            for row in rows
            if row["backend_type"] == "client backend"
        )
        self._met({one.role for one in clients} - {""})
        return Connections(clients)

    @cached_property
    def session(self) -> Session:
        """What holds in the session.

        Raises:
            CannotTell: If it isn't read-only or has no time limit, or can't be asked.
        """
        (row,) = self.ask("session")
        if row["read_only"] != "on" or row["statement_timeout"] in {"0", "0ms"}:
            raise CannotTell(
                "the server did not take the session's settings: "
                f"default_transaction_read_only = {row['read_only']}, statement_timeout = {row['statement_timeout']}",
                mend="Connect to PostgreSQL itself and not through a pooler that drops start-up parameters.",
                cause=CAUSE,
            )
        return Session(
            row["pid"],
            row["role"],
            row["database"],
            row["version"],
            bool(row["superuser"]),
            bool(row["sees_all_sessions"]),
        )

    def must_show(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insist that no session among these rows of `pg_stat_activity` is hidden.

        Args:
            rows: With their `backend_type`.

        Raises:
            CannotTell: If one is.
        """
        # An unprivileged role gets NULL where the kind of session should stand: it would count none.
        hidden = sum(1 for row in rows if row["backend_type"] is None)
        if hidden:
            raise CannotTell(
                f"{hidden} of {len(rows)} sessions are hidden from the role {self.session.role!r}",
                mend=f"GRANT pg_monitor TO {identifier(self.session.role)};",
                cause=CAUSE,
            )

    def owns(self, pid: int, application: str) -> bool:
        """Whether a session of that process and application's name is this run's own.

        Each worker of a run has a session; who only calls itself like us doesn't know the token.

        Raises:
            CannotTell: If the database can't be asked.
        """
        return pid == self.session.pid or application == self._application

    @property
    def _application(self) -> str:
        return f"{NAME} {self._token[:12]}"

    @property
    def opened(self) -> bool:
        """Whether the session was opened."""
        return self._connection.made

    @property
    def as_superuser(self) -> bool:
        """Whether the session is known to be a superuser's; nothing is asked to find out."""
        session: Session | None = vars(self).get("session")
        return session is not None and session.superuser

    def must_answer(self) -> None:
        """Insist that the database answers somebody, so that others needn't wait for it.

        Whom it refuses in particular needn't be the backend: that is no reason.

        Raises:
            CannotTell: If it keeps silent or can't be reached, now or earlier in this run.
        """
        with contextlib.suppress(CannotTell, NoAnswer):
            _ = self.session
        why = self._lost or (None if self._refused_us else self._connection.failed)
        if why is not None:
            raise CannotTell(why.what, mend=getattr(why, "mend", ""), cause=why.cause)

    def ask(
        self,
        name: str,
        names: Mapping[str, str] = NOTHING,
        values: Mapping[str, object] | None = None,
        *,
        seconds: float | None = None,
    ) -> list[dict[str, Any]]:
        """The rows that the statement of that name in `observe/sql/` gives.

        Args:
            name: The statement's.
            names: The tables and columns that its `{…}` stand for, a table with its schema as `public.api_activity`.
            values: The values that its `%(…)s` stand for; a statement that is given some writes `%` as `%%`.
            seconds: A total time limit for what takes long by its nature; None for the session's own.

        Raises:
            CannotTell: If the database can't be asked, takes no more connections, refuses, or doesn't answer in time.
        """
        if name != "session":
            _ = self.session  # nothing is asked in a session that isn't what it should be
        question = (name, statement(name, names), values)
        if seconds is None:
            return self._ask([question], self._seconds)[0]
        return self._ask([_longer(seconds), question], seconds)[1]

    def ask_together(self, statements: Sequence[str], seconds: float) -> dict[str, list[dict[str, Any]]]:
        """The rows of several statements, of one moment: they see one snapshot.

        Args:
            statements: Their names.
            seconds: Total time limit of all of them, which may be longer than the session's own.

        Raises:
            CannotTell: As for :meth:`ask`.
        """
        _ = self.session
        questions: list[Question] = [_longer(seconds), *((name, statement(name), None) for name in statements)]
        return dict(zip(statements, self._ask(questions, seconds)[1:], strict=True))

    def _ask(self, questions: Sequence[Question], seconds: float) -> list[list[dict[str, Any]]]:
        if self._lost is not None:
            raise self._lost.with_traceback(None)
        try:
            connection = self._connection.get()
        except NoAnswer as full:
            mend = "See who holds them all, and end those that are idle: connection-headroom says how."
            raise CannotTell(full.what, mend=mend, cause=full.cause) from None
        asked = [questions[0][0]]

        def work() -> list[list[dict[str, Any]]]:
            found = []
            # The session's transactions are read-only and see one snapshot, by the settings that it began with.
            with connection.transaction():
                for name, text, values in questions:
                    asked[:] = [name]
                    found.append(connection.execute(text.encode(), values).fetchall())
            return found

        try:
            return within(seconds, work, give_up=lambda: _hang_up(connection.fileno()))
        except TimeIsUp as late:
            self._lost = self._silent(f"did not answer {asked[0]}", late.seconds)
            raise self._lost from None
        except Exception as error:  # noqa: BLE001  whatever the driver raises, the instrument failed
            mend = _may_not(error, self.session.role) if asked[0] != "session" else ""
            raise CannotTell(
                f"the database could not say {asked[0]}: {_sentence(error)}", mend=mend, cause="" if mend else CAUSE
            ) from None

    def close(self) -> None:
        """End the session if there is one, without waiting for a server that doesn't answer."""
        if self._connection.made and self._lost is None:
            self._connection.get().close()

    def _open(self) -> psycopg.Connection[dict[str, Any]]:
        address = self._find()
        import psycopg
        from psycopg.rows import dict_row

        limit = max(1, int(self._seconds * 1000))  # 0 would be none

        def connect() -> psycopg.Connection[dict[str, Any]]:
            return psycopg.connect(
                host=address.host,
                port=address.port,
                dbname=address.name,
                user=address.user,
                password=None if address.password is None else address.password.reveal(),
                application_name=self._application,
                autocommit=True,
                row_factory=dict_row,
                connect_timeout=max(2, round(self._seconds)),
                gssencmode="disable",
                # Under autocommit the driver's own read_only does nothing; this holds, and is asked back.
                options=f"-c default_transaction_read_only=on -c statement_timeout={limit} -c lock_timeout={limit} "
                # Where row security hides rows from the role, it is told so instead of being given fewer.
                "-c default_transaction_isolation=repeatable\\ read -c row_security=off",
            )

        try:
            return within(self._seconds, connect)
        except TimeIsUp as late:
            raise self._silent(f"at {address} accepts nobody", late.seconds) from None
        except psycopg.OperationalError as error:
            # Without the chain: the driver's frames hold the password in the clear.
            raise self._refusal(address, error) from None
        except Exception as error:  # noqa: BLE001  see above
            raise CannotTell(f"the database at {address} can't be asked: {_sentence(error)}", cause=CAUSE) from None

    def _refusal(self, address: Address, error: psycopg.OperationalError) -> CannotTell | NoAnswer:
        text = _sentence(error)
        if _TOO_MANY.search(text):
            return NoAnswer(f"the database at {address} takes no more connections: {text}", cause=CAUSE)
        mend = "See whether its container runs, and whether database.host and database.port are right."
        for pattern, quoted, remedy in _OUR_OWN:
            if re.search(pattern, text):
                self._refused(address.user if quoted == "user" else address.name)
                self._refused_us = True
                mend = remedy.format(user=identifier(address.user))
                break
        return CannotTell(f"the database at {address} can't be asked: {text}", mend=mend, cause=CAUSE)

    def _silent(self, what: str, seconds: float) -> CannotTell:
        return CannotTell(
            f"the database {what} within {say_span(timedelta(seconds=seconds))}",
            mend="See whether it is overloaded or hangs: its log, and the load of its host.",
            cause=CAUSE,
        )


def statement(name: str, names: Mapping[str, str] = NOTHING) -> str:
    """The statement of that name in `observe/sql/`, with its tables and columns filled in.

    Args:
        name: The file's, without its ending.
        names: What each `{…}` in it stands for; a dot separates a schema from its table.
    """
    text = (SQL / f"{name}.sql").read_text(encoding="utf-8")
    for place, given in names.items():
        text = text.replace(f"{{{place}}}", ".".join(map(_quoted, given.split("."))))
    return text


def _longer(seconds: float) -> Question:
    """Lets what follows in the same transaction take so long, in seconds."""
    return "longer", statement("longer"), {"milliseconds": f"{max(1, int(seconds * 1000))}"}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _may_not(error: Exception, role: str) -> str:
    """What to do about it when the role may not read something; empty when that isn't why."""
    state = getattr(error, "sqlstate", None)
    if state == "42501":
        return f"GRANT pg_read_all_data TO {identifier(role)}; or, before PostgreSQL 14, SELECT on that table."
    if state in {"42P01", "42703", "42883"}:
        return "Say in the target, under [application], what the table and its columns are called."
    return ""


def _hang_up(descriptor: int) -> None:
    """End a connection under a thread that waits on it, which then closes it itself."""
    with socket.socket(fileno=os.dup(descriptor)) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)


def identifier(name: str) -> str:
    """A name as it is written in SQL."""
    return name if _PLAIN_NAME.fullmatch(name) else _quoted(name)


def _sentence(error: Exception) -> str:
    """The driver's message in one line, its own hints left out."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    keep = [line for line in lines if not line.startswith(("Is the server", "Multiple connection", "- host:", "HINT"))]
    text = keep[0] if keep else type(error).__name__
    # What the server itself says stands last; where it was asked is said by whoever asked.
    text = text.rpartition("FATAL:  ")[2]
    for noise in ("connection failed: ", "connection to server at "):
        text = text.replace(noise, "")
    return text[:300]


def where_is_it(
    given: Mapping[str, Any], published: tuple[str, int] | None, inside: tuple[str, int] | None
) -> tuple[str, int]:
    """The address to ask: what the settings say, else the published port, else the container's own.

    Raises:
        CannotTell: If none of them is known.
    """
    if given.get("host") or given.get("port"):
        return str(given.get("host") or "127.0.0.1"), int(given.get("port") or 5432)
    found = published or inside
    if found is None:
        raise CannotTell(
            "it isn't known where the database is: its container publishes no port and has no address",
            mend="Start it, or set database.host and database.port.",
            cause=CAUSE,
        )
    return found
