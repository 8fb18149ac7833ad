"""What roles may do, in the sentences that an auditor would write.

Each sentence is judged by itself: it is so, it isn't, or it can't be told. One that isn't so is broken whatever else
can't be told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from observe.database import identifier
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from observe.database import Database
    from observe.roles import Logins, Role

PLAIN = "The application logs in as a role that is no superuser and can't make roles or databases."
UNRELATED = "The application's role belongs to no role that can, and to none that reaches the server's machine."
PUBLIC = "PUBLIC can't create in any schema of the database, nor in the database."
NO_TRUST = "Over the network nobody is let in on trust."
SCRAM = "Passwords are kept, and set from now on, as SCRAM-SHA-256."
OWNED = "The application's tables belong to its role, or to one that nobody logs in as and that is no superuser."
NOT_OPEN = "No table of the application is open to PUBLIC."

GOOD = "scram-sha-256"
# These take a password that is kept as MD5 as well.
_TAKE_MD5 = frozenset({"md5", "password"})
_UNENCRYPTED = frozenset({"host", "hostnossl", "hostnogssenc"})
_SHOWN = 5


@dataclass(frozen=True)
class Sentence:
    """What an auditor would write, and whether it is so.

    Attributes:
        text: The sentence.
        found: What was seen that it is judged by.
        so: Whether it is so; None where that can't be told.
        mend: What to do where it isn't or can't be told; empty otherwise.
    """

    text: str
    found: str
    so: bool | None
    mend: str = ""


@dataclass(frozen=True)
class Application:
    """As whom the application logs in.

    Attributes:
        roles: The roles; empty where that isn't known.
        how: How that is known, or why it isn't.
    """

    roles: tuple[Role, ...]
    how: str

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [one.name for one in self.roles]


@dataclass(frozen=True)
class Permissions:
    """All sentences.

    Attributes:
        looked_at: The denominator.
        notes: What the reader should know beside them.
    """

    sentences: tuple[Sentence, ...]
    looked_at: str
    notes: tuple[str, ...]

    @property
    def broken(self) -> tuple[Sentence, ...]:
        """Those that aren't so."""
        return tuple(one for one in self.sentences if one.so is False)

    @property
    def untold(self) -> tuple[Sentence, ...]:
        """Those of which it can't be told."""
        return tuple(one for one in self.sentences if one.so is None)

    @property
    def said(self) -> str:
        """What isn't so."""
        if not self.broken:
            return f"{len(self.sentences) - len(self.untold)} sentences are so"
        return "; ".join(f"not so: “{one.text}” ({one.found})" for one in self.broken)

    def rows(self) -> list[dict[str, str]]:
        """The sentences for the report, those that aren't so first."""
        verdicts = {False: "not so", None: "can't tell", True: "so"}
        order = list(verdicts)
        return [
            {"sentence": one.text, "verdict": verdicts[one.so], "found": one.found, "to mend it": one.mend}
            for one in sorted(self.sentences, key=lambda one: order.index(one.so))
        ]

    def must_be_told(self) -> None:
        """Insist that of each sentence it could be told.

        Raises:
            CannotTell: If of some it couldn't.
        """
        if self.untold:
            mends = dict.fromkeys(one.mend for one in self.untold if one.mend)
            # What mends one of them may begin as what mends another does: it is said once.
            whole = [one for one in mends if not any(other != one and other.startswith(one) for other in mends)]
            raise CannotTell(
                "; ".join(f"“{one.text}” can't be told: {one.found}" for one in self.untold),
                mend=" ".join(whole),
            )


@dataclass
class _Look:
    """What the parts share while they look."""

    database: Database
    asked: Mapping[str, Any]
    whose: Application
    counts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def own(self) -> str:
        """The suite's own role, as it is written in SQL."""
        return identifier(self.database.session.role)


def permissions(
    database: Database, found: Logins, given: str, addresses: Iterable[str], activity: str, seconds: float
) -> Permissions:
    """What roles may do. PostgreSQL 13 to 18.

    Args:
        database: Whose.
        found: The roles and who is logged in.
        given: The application's role as the settings name it; empty where they don't.
        addresses: Those of the containers that the application runs in.
        activity: The application's table of activity.
        seconds: Total time limit of the first questions.

    Raises:
        CannotTell: If the database can't be asked at all.
    """
    rows = database.ask_together(("role_asked", "role_memberships", "role_public"), seconds)
    whose = application(database, found, given, frozenset(addresses), activity)
    look = _Look(database, rows["role_asked"][0], whose)
    look.counts.append(f"the application's role {', '.join(whose.names)} ({whose.how})" if whose.roles else whose.how)
    look.counts.append(f"{len(found.roles)} roles")
    rules = _rules(look)
    sentences = (
        _plain(whose),
        _unrelated(whose, rows["role_memberships"]),
        _public(look, rows["role_public"]),
        _trust(look, rules),
        _scram(look, rules),
        *_tables(look),
    )
    counted = f"{len(sentences)} sentences, of {', '.join(look.counts[:-1])} and {look.counts[-1]}"
    return Permissions(sentences, counted, tuple(look.notes))


# The application's role.


def application(database: Database, found: Logins, given: str, addresses: frozenset[str], activity: str) -> Application:
    """As whom the application logs in: what the settings say, else its sessions, else who owns its activity.

    Raises:
        CannotTell: If the database can't be asked.
    """
    if given:
        role = found.named(given)
        where = "application.role"
        return Application((role,), where) if role else Application((), f"{where} names {given}, which is no role here")
    sessions = Counter(one.role for one in found.now if one.client in addresses)
    roles = tuple(one for one in found.roles if one.name in sessions)
    if roles:
        count = sum(sessions.values())
        return Application(roles, f"{count} session{'' if count == 1 else 's'} of the backend's containers")
    # Where each request has a connection of its own, there is none most of the time.
    owners = [row["role"] for row in database.ask("application_roles", names={"activity": activity})]
    roles = tuple(one for one in found.roles if one.name in owners)
    if len(roles) == 1:
        return Application(roles, f"no session of the backend's containers now, but it owns {activity}")
    why = f"{len(roles)} roles act for the owner of {activity}" if roles else f"nobody who may log in owns {activity}"
    return Application((), f"the application's role isn't known: no session of the backend's containers, and {why}")


def _unknown(text: str, whose: Application) -> Sentence:
    return Sentence(text, whose.how, None, "Set application.role.")


def _plain(whose: Application) -> Sentence:
    if not whose.roles:
        return _unknown(PLAIN, whose)
    bad = [one for one in whose.roles if one.powers]
    if not bad:
        return Sentence(
            PLAIN, f"{', '.join(whose.names)}: nothing of it, no REPLICATION and no BYPASSRLS either", so=True
        )
    mend = "; ".join(
        f"ALTER ROLE {identifier(one.name)} NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS"
        for one in bad
    )
    return Sentence(PLAIN, "; ".join(f"{one.name} {', '.join(one.powers)}" for one in bad), so=False, mend=f"{mend};")


def _unrelated(whose: Application, memberships: Sequence[Mapping[str, str]]) -> Sentence:
    if not whose.roles:
        return _unknown(UNRELATED, whose)
    bad = [row for row in memberships if row["role"] in whose.names]
    above = [one.name for one in whose.roles if one.superuser]
    if not bad and not above:
        return Sentence(UNRELATED, f"{', '.join(whose.names)}: member of none of them", so=True)
    found = [f"{row['role']} belongs to {row['belongs_to']} ({row['may']})" for row in bad]
    found += [f"{name} is a superuser, who is counted as a member of every role" for name in above]
    mend = [f"REVOKE {identifier(row['belongs_to'])} FROM {identifier(row['role'])};" for row in bad[:_SHOWN]]
    return Sentence(UNRELATED, _some(found), so=False, mend=" ".join(mend) or "Let it be no superuser.")


# PUBLIC.


def _public(look: _Look, rows: Sequence[Mapping[str, Any]]) -> Sentence:
    schemas = sum(row["kind"] == "schema" for row in rows)
    look.counts.append(f"{schemas} schemas")
    bad = [row for row in rows if row["open"]]
    if not bad:
        return Sentence(PUBLIC, f"{schemas} schemas and the database, none lets PUBLIC create", so=True)
    mend = [f"REVOKE CREATE ON {row['kind'].upper()} {identifier(row['name'])} FROM PUBLIC;" for row in bad[:_SHOWN]]
    found = _some(f"{row['kind']} {row['name']}" for row in bad)
    return Sentence(PUBLIC, f"PUBLIC creates in {found}", so=False, mend=" ".join(mend))


# Rules and passwords.


def _rules(look: _Look) -> list[dict[str, Any]] | None:
    """The rules of pg_hba.conf; None where they may not be read."""
    if not look.asked["rules"]:
        return None
    rules = look.database.ask("role_rules")
    look.counts.append(f"{len(rules)} rules of pg_hba.conf")
    loaded: datetime = look.asked["loaded"]
    look.notes.append(f"the rules are those in the file now; the server last read its files {loaded:%Y-%m-%d %H:%M %Z}")
    over = [one for one in rules if one["type"] in _UNENCRYPTED]
    for method, why in (
        ("password", "sends passwords in the clear"),
        ("ident", "believes what the client's host says"),
    ):
        if bad := [_rule(one) for one in over if one["method"] == method]:
            look.notes.append(f"{method} {why}: {_some(bad)}")
    if by := [_rule(one) for one in rules if one["method"] == "trust" and one["certificate"]]:
        look.notes.append(f"trust with a client's certificate isn't counted as trust: {_some(by)}")
    return rules


def _trust(look: _Look, rules: Sequence[Mapping[str, Any]] | None) -> Sentence:
    if rules is None:
        return Sentence(
            NO_TRUST, f"pg_hba_file_rules isn't shown to {look.database.session.role}", None, _grants(look.own)
        )
    bad = [one for one in rules if one["method"] == "trust" and one["type"] != "local" and not one["certificate"]]
    if bad:
        mend = (
            f"Write {GOOD} there in place of trust, then SELECT pg_reload_conf(); PostgreSQL's image writes such "
            "lines for 127.0.0.1 and ::1 unless it is given POSTGRES_INITDB_ARGS=--auth-host=scram-sha-256."
        )
        return Sentence(NO_TRUST, _some(map(_rule, bad)), so=False, mend=mend)
    if why := _unreadable(rules):
        return Sentence(NO_TRUST, why, None, "Mend these lines, then SELECT pg_reload_conf();")
    local = sum(one["method"] == "trust" and one["type"] == "local" for one in rules)
    beside = f"; {local} for the server's own socket" if local else ""
    return Sentence(NO_TRUST, f"{len(rules)} rules, none with trust for an address{beside}", so=True)


def _scram(look: _Look, rules: Sequence[Mapping[str, Any]] | None) -> Sentence:
    stored = look.asked["stored_as"]
    set_otherwise = [
        f"password_encryption is {row['value']} for {row['role'] or row['database'] or 'all roles'}"
        for row in look.database.ask("setting_overridden", values={"name": "password_encryption"})
        if row["value"] != GOOD
    ]
    bad = [] if stored == GOOD else [f"password_encryption is {stored}"]
    bad += set_otherwise
    mend = "ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf(); " if bad else ""
    kept = look.database.ask("role_passwords") if look.asked["passwords"] else None
    if kept is not None:
        look.counts.append(f"{len(kept)} passwords")
        weak = [row for row in kept if row["kind"] != "SCRAM-SHA-256"]
        bad += [f"{row['role']}'s is kept as {row['kind']}" for row in weak if row["login"]]
        if idle := [row["role"] for row in weak if not row["login"]]:
            look.notes.append(f"kept otherwise than as SCRAM, of roles that may not log in: {_some(idle)}")
        if any(row["login"] for row in weak):
            mend += "Set the password anew: \\password in psql, which sends the hash alone."
    if bad:
        return Sentence(SCRAM, _some(bad), so=False, mend=mend.strip())
    if kept is not None:
        return Sentence(SCRAM, f"{len(kept)} passwords, all of them; password_encryption is {stored}", so=True)
    return _by_the_rules(look, rules)


def _by_the_rules(look: _Look, rules: Sequence[Mapping[str, Any]] | None) -> Sentence:
    """Whether a password that is kept as MD5 lets anybody in, where it isn't shown how they are kept."""
    hidden = f"pg_authid isn't shown to {look.database.session.role}"
    grant = f"GRANT SELECT (rolname, rolcanlogin, rolpassword) ON pg_authid TO {look.own};"
    asks = f"{grant} The server is asked for the kind alone, no hash is read."
    if rules is None:
        return Sentence(SCRAM, f"{hidden}, and neither is pg_hba_file_rules", None, f"{_grants(look.own)} Or: {asks}")
    if why := _unreadable(rules):
        return Sentence(SCRAM, f"{hidden}, and {why}", None, asks)
    if loose := [_rule(one) for one in rules if one["method"] in _TAKE_MD5]:
        mend = f"Let these rules ask for {GOOD}, by which no password kept as MD5 lets anybody in. Or: {asks}"
        return Sentence(
            SCRAM, f"{hidden}, and by these rules one that is kept as MD5 would do: {_some(loose)}", None, mend
        )
    found = f"{hidden}, but none of {len(rules)} rules lets anybody in by a password that is kept as MD5"
    return Sentence(SCRAM, found, so=True)


def _unreadable(rules: Sequence[Mapping[str, Any]]) -> str:
    """Why the rules in the file tell nothing of those in force; empty where they do."""
    if not rules:
        return "pg_hba.conf has no rule: nothing was looked at"
    wrong = [f"{_place(one)}: {one['error'][:120]}" for one in rules if one["error"]]
    return f"pg_hba.conf has errors, and rules from before are in force: {_some(wrong)}" if wrong else ""


def _rule(row: Mapping[str, Any]) -> str:
    words = (row["type"], row["database"][:60], row["role"][:60], row["address"], row["method"])
    return f"{_place(row)} {' '.join(filter(None, words))}"


def _place(row: Mapping[str, Any]) -> str:
    return f"{PurePosixPath(row['file']).name or 'pg_hba.conf'}:{row['line']}"


def _grants(own: str) -> str:
    return f"GRANT SELECT ON pg_hba_file_rules TO {own}; GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO {own};"


# Tables.


def _tables(look: _Look) -> tuple[Sentence, Sentence]:
    """Whose the application's tables are, and who else may touch them."""
    whose = look.whose
    if not whose.roles:
        return _unknown(OWNED, whose), _unknown(NOT_OPEN, whose)
    rows = look.database.ask("role_tables", values={"roles": whose.names})
    schemas = {row["schema"] for row in rows if row["own"] or row["written"]}
    # Not only what the application can reach: a copy that somebody left beside its tables holds the same rows.
    tables = [row for row in rows if row["schema"] in schemas]
    look.counts.append(f"{len(tables)} tables and views in {len(schemas)} of its schemas")
    if not tables:
        found = (
            f"{', '.join(whose.names)} owns and writes none of {len(rows)} tables of {look.database.session.database}"
        )
        mend = "Is it the application's database (database.name) and role (application.role)?"
        return Sentence(OWNED, found, None, mend), Sentence(NOT_OPEN, found, None, mend)
    if above := [row["name"] for row in tables if row["own"] and row["above_policies"]]:
        look.notes.append(f"row security doesn't bind the application, which owns the table: {_some(above)}")
    return _owned(tables, whose), _closed(tables)


def _owned(tables: Sequence[Mapping[str, Any]], whose: Application) -> Sentence:
    bad = [row for row in tables if not row["own"] and (row["login"] or row["superuser"])]
    if not bad:
        own = sum(row["own"] for row in tables)
        return Sentence(
            OWNED, f"{own} of {len(tables)} belong to {', '.join(whose.names)}, no other to a login", so=True
        )
    to = identifier(whose.names[0])
    mend = [f"ALTER TABLE {row['name']} OWNER TO {to};" for row in bad[:_SHOWN]]
    return Sentence(OWNED, _some(f"{row['name']} is {row['owner']}'s" for row in bad), so=False, mend=" ".join(mend))


def _closed(tables: Sequence[Mapping[str, Any]]) -> Sentence:
    bad = [row for row in tables if row["open"] or row["open_columns"]]
    if not bad:
        return Sentence(NOT_OPEN, f"none of {len(tables)}", so=True)
    found = (f"{row['name']} ({row['open'] or 'some columns'})" for row in bad)
    mend = [f"REVOKE ALL ON {row['name']} FROM PUBLIC;" for row in bad[:_SHOWN]]
    return Sentence(NOT_OPEN, _some(found), so=False, mend=" ".join(mend))


def _some(things: Iterable[str]) -> str:
    """The first of them, and how many more there are."""
    listed = list(things)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return f"{', '.join(listed[:_SHOWN])}{more}"
