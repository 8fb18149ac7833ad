"""The database: one read-only session, and the questions that may be asked in it.

Every statement lies in `observe/sql/` and only reads; the session is read-only
as well, which for a superuser is a seat belt and no wall. Use a role with
`pg_monitor` alone.

Through a pooler that takes no start-up parameters, or drops them, there is no
session to be set up: every question is asked in a transaction that is read-only
by its own BEGIN, sets the rest for itself, and is asked back what holds in it.
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

from observe.database_address import CAUSE, Address, where_is_it
from observe.deadline import Once, TimeIsUp, within
from observe.errors import CannotTell, NoAnswer
from observe.own_traffic import NAME
from target.kinds import say_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import psycopg

__all__ = ["CAUSE", "Address", "Connection", "Connections", "Database", "Session", "where_is_it"]

SQL = Path(__file__).parent / "sql"
_TOO_MANY = re.compile(
    "too many clients|connection slots are reserved|too many connections for database"
    "|no more connections allowed|max_client_conn"
)
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
    (
        "no such user",
        "user",
        "Make the pooler know {user} (its auth_file or auth_query), or set database.user.",
    ),
    ("no such database", "name", "Set database.name to one that the pooler knows, or add it to its [databases]."),
)
"""Why the server refuses us in particular: a pattern, whose name it quotes in its log, and what to do."""
_ON_THE_WAY = (
    (
        "does not match host name",
        "Set database.host to a name that the certificate is for; if another machine answers there, find out which.",
    ),
    (
        "certificate verify failed|unable to get local issuer|self.signed certificate",
        "Set database.ca_file to the provider's authority. If it is, the certificate has ended, or others answer.",
    ),
    (
        "server does not support SSL",
        "Turn TLS on there (ssl = on), or set database.sslmode to less.",
    ),
    (
        "root certificate file|could not load system root|could not read root cert",
        "Set database.ca_file to a file with the authority's certificate, or to `system`.",
    ),
    ("certificate file|private key file", "Mend sslcert and sslkey of the service or the connection string."),
    ("requires a valid client certificate", "Name one by sslcert and sslkey in a service of libpq's service file."),
    (
        "failed to resolve host|could not translate host name",
        "Is the name right (database.host)? See what `getent hosts {host}` says on this machine.",
    ),
)
"""Why we don't get as far as to be let in: a pattern, and what to do. The server's log has no line about that."""
_TAKES_NO_OPTIONS = re.compile("unsupported startup parameter|support command-line options")
"""How poolers refuse the parameters that a session begins with: PgBouncer, Amazon's RDS Proxy."""
PLAIN = "not encrypted"
_NO_TRANSACTIONS = re.compile("transaction blocks not allowed in statement pooling mode")
_IN_FORCE = {"read_only": "on", "isolation": "repeatable read", "row_security": "off"}
"""What has to hold where a question is asked, by the names in `session.sql` and `in_force.sql`."""
_PLAIN_NAME = re.compile("[a-z_][a-z0-9_]*")
NOTHING: Mapping[str, str] = {}
Question: TypeAlias = tuple[str, str, "Mapping[str, object] | None"]
"""A statement's name, its text, and the values that it is given."""


@dataclass(frozen=True)
class Session:
    """What holds in the session, as the server says it.

    Attributes:
        pid: The server's process that serves it.
        superuser: Whether the role could write in spite of everything.
        sees_all: Whether the role sees the sessions of other roles in full.
        way: How what is said gets there and back, in words: encrypted or not, by whom verified.
        pooled: Why every question is asked in a transaction of its own; empty where nobody stands between.
    """

    pid: int
    role: str
    database: str
    version: int
    superuser: bool
    sees_all: bool
    way: str = ""
    pooled: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """How it was asked, where that is worth a line: over TLS, or through a pooler."""
        if self.way == PLAIN and not self.pooled:
            return ()
        through = ", through a pooler" if self.pooled else ""
        return (f"asked as {self.role}{through}; the session: {self.way}",)

    def troubles(self, address: Address) -> list[str]:
        """What the reader should know beside the outcomes, of a session with that address."""
        found = []
        if self.superuser:
            found.append(
                f"the database role {self.role} is a superuser: the read-only session is a seat belt "
                "and no wall; give the suite a role that has pg_monitor alone"
            )
        if self.pooled:
            found.append(
                f"a pooler stands before the database at {address} and {self.pooled}; every question is asked in a "
                "read-only transaction of its own, and the sessions that are counted are the pooler's"
            )
        if address.far and not address.verified:
            why = "is not encrypted" if self.way == PLAIN else "is encrypted with whoever answers there"
            found.append(
                f"the session with the database at {address} {why} ({self.way}); "
                'set database.sslmode to "verify-full", and database.ca_file if the system doesn\'t know the authority'
            )
        return found


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
        way: Called when it couldn't be asked; raises CannotTell if it is the way there that is gone.
    """

    def __init__(
        self,
        address: Callable[[], Address],
        seconds: float,
        token: str,
        refused: Callable[[str], None] = lambda _name: None,
        met: Callable[[set[str]], None] = lambda _roles: None,
        way: Callable[[], None] = lambda: None,
    ) -> None:
        self._find = address
        self._seconds = seconds
        self._token = token
        self._refused = refused
        self._met = met
        self._must_stand = way
        self._connection: Once[psycopg.Connection[dict[str, Any]]] = Once(self._open)
        self._lost: CannotTell | None = None
        self._refused_us = False
        self._pooled = ""
        self._way = ""

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
        if not self._pooled and (missing := _not_in_force(row)):
            self._ask_through_the_pooler(f"drops what a session begins with: {missing}")
            (row,) = self.ask("session")
        way = ", ".join(filter(None, (row["tls"] if self._way and not self._pooled else "", self._way)))
        return Session(
            row["pid"],
            row["role"],
            row["database"],
            row["version"],
            bool(row["superuser"]),
            bool(row["sees_all_sessions"]),
            way or PLAIN,
            self._pooled,
        )

    def _ask_through_the_pooler(self, why: str) -> None:
        """Begin anew, with a transaction for every question."""
        self._connection.get().close()
        self._pooled = why
        self._connection = Once(self._open)

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

        Each worker of a run has a session; who only calls itself like us doesn't know the token. A pooler's session
        is ours while our transaction is in it, which is as long as it has our name; the next may be anybody's.

        Raises:
            CannotTell: If the database can't be asked.
        """
        return application == self._application or (pid == self.session.pid and not self._pooled)

    @property
    def _application(self) -> str:
        # Two names, since a pooler that drops only the rest may leave the first one to a session of others.
        return f"{NAME} {self._token[:12]}{' pooled' if self._pooled else ''}"

    @property
    def opened(self) -> bool:
        """Whether the session was opened."""
        return self._connection.made

    @property
    def known(self) -> Session | None:
        """What is known of the session; nothing is asked to find out."""
        session: Session | None = vars(self).get("session")
        return session

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
        set_up = self._set_up()

        def work() -> list[list[dict[str, Any]]]:
            found = []
            with connection.transaction():
                for name, text, values in (*set_up, *questions):
                    asked[:] = [name]
                    found.append(connection.execute(text.encode(), values).fetchall())
                    if name == "in_force" and (missing := _not_in_force(found[-1][0])):
                        raise _NotInForceError(missing)
            return found[len(set_up) :]

        try:
            return within(seconds, work, give_up=lambda: _hang_up(connection.fileno()))
        except TimeIsUp as late:
            self._lost = self._silent(f"did not answer {asked[0]}", late.seconds)
            raise self._lost from None
        except _NotInForceError as missing:
            raise CannotTell(
                f"the pooler before the database did not take a transaction's settings: {missing}",
                mend="Connect to PostgreSQL itself and not through that pooler.",
                cause=CAUSE,
            ) from None
        except Exception as error:  # noqa: BLE001  whatever the driver raises, the instrument failed
            self._way_stands()
            if _NO_TRANSACTIONS.search(str(error)):
                raise self._no_transactions() from None
            mend = _may_not(error, self.session.role) if self.known is not None else ""
            raise CannotTell(
                f"the database could not say {asked[0]}: {_sentence(error)}", mend=mend, cause="" if mend else CAUSE
            ) from None

    def close(self) -> None:
        """End the session if there is one, without waiting for a server that doesn't answer."""
        if self._connection.made and self._lost is None:
            self._connection.get().close()

    def _set_up(self) -> tuple[Question, ...]:
        """What is asked first in every transaction through a pooler: what a session of ours would begin with."""
        if not self._pooled:
            return ()
        values = {"milliseconds": f"{self._limit}", "application": self._application}
        return ("pooled", statement("pooled"), values), ("in_force", statement("in_force"), None)

    @property
    def _limit(self) -> int:
        return max(1, int(self._seconds * 1000))  # in milliseconds; 0 would be none

    def _open(self) -> psycopg.Connection[dict[str, Any]]:
        address = self._find()
        import psycopg

        try:
            return within(self._seconds, lambda: self._connect(address))
        except TimeIsUp as late:
            raise self._silent(f"at {address} accepts nobody", late.seconds) from None
        except CannotTell:
            raise
        except psycopg.OperationalError as error:
            text = _sentence(error)
            self._way_stands()
            if not self._pooled and _TAKES_NO_OPTIONS.search(text):
                self._pooled = f"refuses what a session begins with: {text}"
                return self._open()
            # Without the chain: the driver's frames hold the password in the clear.
            raise self._refusal(address, text) from None
        except Exception as error:  # noqa: BLE001  see above
            raise CannotTell(f"the database at {address} can't be asked: {_sentence(error)}", cause=CAUSE) from None

    def _way_stands(self) -> None:
        try:
            self._must_stand()
        except CannotTell as lost:
            # Without the chain: the driver's frames hold the password in the clear.
            raise lost.with_traceback(None) from None

    def _connect(self, address: Address) -> psycopg.Connection[dict[str, Any]]:
        import psycopg
        from psycopg import IsolationLevel
        from psycopg.rows import dict_row

        connection: psycopg.Connection[dict[str, Any]] = psycopg.connect(
            **address.keywords(),
            # Whatever drops what a session begins with must drop its name as well, which it would keep for others.
            application_name="",
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=max(2, round(self._seconds)),
            gssencmode="disable",
            options=address.options if self._pooled else self._options(address),
            # What is prepared in one session of a pooler's isn't in the next.
            prepare_threshold=None,
        )
        # How transactions begin. Under autocommit nothing else would be held by this.
        connection.read_only = True
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        self._way = _way(connection.pgconn.ssl_in_use, address, pooled=bool(self._pooled))
        return connection

    def _options(self, address: Address) -> str:
        """What a session begins with. Under autocommit the driver's own read_only does nothing; this holds."""
        name = self._application.replace(" ", "\\ ")
        return (
            f"{address.options} -c default_transaction_read_only=on -c application_name={name} "
            f"-c statement_timeout={self._limit} -c lock_timeout={self._limit} "
            # Where row security hides rows from the role, it is told so instead of being given fewer.
            "-c default_transaction_isolation=repeatable\\ read -c row_security=off"
        ).strip()

    def _refusal(self, address: Address, text: str) -> CannotTell | NoAnswer:
        if _TOO_MANY.search(text):
            return NoAnswer(f"the database at {address} takes no more connections: {text}", cause=CAUSE)
        said = f"the database at {address} can't be asked: {text}"
        for pattern, remedy in _ON_THE_WAY:
            if re.search(pattern, text):
                return CannotTell(said, mend=remedy.format(host=address.host), cause=CAUSE)
        what = "its container" if address.near else "it"
        mend = f"See whether {what} runs, and whether database.host and database.port are right."
        for pattern, quoted, remedy in _OUR_OWN:
            if re.search(pattern, text):
                self._refused(address.user if quoted == "user" else address.name)
                self._refused_us = True
                mend = remedy.format(user=identifier(address.user))
                break
        if "no encryption" in text:
            mend = 'Set database.sslmode to "verify-full", or "require": the server lets nobody in without TLS.'
        return CannotTell(said, mend=mend, cause=CAUSE)

    def _no_transactions(self) -> CannotTell:
        return CannotTell(
            "the pooler before the database gives every statement another session: none can be kept to reading",
            mend="Set its pool_mode for this database or this role to transaction, or connect to PostgreSQL itself.",
            cause=CAUSE,
        )

    def _silent(self, what: str, seconds: float) -> CannotTell:
        return CannotTell(
            f"the database {what} within {say_span(timedelta(seconds=seconds))}",
            mend="See whether it is overloaded or hangs: its log, and the load of its host.",
            cause=CAUSE,
        )


class _NotInForceError(Exception):
    """Raised in a transaction through a pooler, so that nothing is asked in it."""


def _not_in_force(row: Mapping[str, Any]) -> str:
    """What of a session's or a transaction's settings doesn't hold, as the server says it; empty if all does."""
    wrong = [f"{name} = {row[name]}" for name, wanted in _IN_FORCE.items() if row[name] != wanted]
    wrong += [f"{name} = {row[name]}" for name in ("statement_timeout", "lock_timeout") if row[name] in {"0", "0ms"}]
    return ", ".join(wrong)


def _way(encrypted: bool, address: Address, *, pooled: bool) -> str:
    """How what is said gets there and back, as far as this end knows; empty where nothing is encrypted."""
    if not encrypted:
        return ""
    by = {"verify-full": f"verified as {address.host}", "verify-ca": "its authority verified, its name not"}
    to = "encrypted as far as the pooler, " if pooled else ""
    return f"{to}{by.get(address.sslmode, 'nobody verified')}"


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
