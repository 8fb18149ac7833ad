"""The stored passwords of those who may do everything: how they are stored, and whether they are common ones.

Serves the guide's mid-month "rotate admin passwords", as far as a machine can look: the hashes of the active
superusers are read through the read-only connection, and common passwords are tried on them off line. Nobody logs in.

What a hash should have cost is set in `limits`; the defaults are the OWASP Password Storage Cheat Sheet's
(https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html) and, for scrypt, Django's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from observe.errors import CannotTell
from observe.password_hashes import MOST_MEMORY, NO_PASSWORD, UNKNOWN, Hash, missing_package, read
from observe.password_trial import Trial, Trials, given_words, likely_words
from target.kinds import say_bytes, say_span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from observe.database import Database
    from target.model import Limits

COMMON = "one of the common passwords"
_SCRYPT_WORK = 2**14 * 8 * 5
"""What N, r and p must come to when multiplied: OWASP's pairs of them all do."""
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Work:
    """What a hash cost beside what it should have cost.

    Attributes:
        has: Its work factor in words.
        wanted: The work factor that is wanted, in words.
        limits: The names of the limits that it was held against.
        enough: Whether it has what is wanted.
    """

    has: str
    wanted: str
    limits: tuple[str, ...] = ()
    enough: bool = True


def work(stored: Hash, wanted: Limits) -> Work:
    """Hold the work factor of a hash against what is wanted."""
    figures = stored.figures
    if stored.algorithm in {"pbkdf2_sha256", "pbkdf2_sha1"}:
        limit = "pbkdf2_iterations" if stored.algorithm == "pbkdf2_sha256" else "pbkdf2_sha1_iterations"
        least = int(getattr(wanted, limit))
        has = figures["iterations"]
        return Work(f"{has:,} iterations", f"at least {least:,} iterations", (limit,), has >= least)
    if stored.algorithm == "argon2":
        memory = figures["memory"] * 1024
        return Work(
            f"{say_bytes(memory)}, {figures['time']} passes",
            f"Argon2id, at least {say_bytes(wanted.argon2_memory)} and {wanted.argon2_time} passes",
            ("argon2_memory", "argon2_time"),
            stored.said == "Argon2id" and memory >= wanted.argon2_memory and figures["time"] >= wanted.argon2_time,
        )
    if stored.algorithm in {"bcrypt", "bcrypt_sha256"}:
        enough = figures["cost"] >= wanted.bcrypt_cost
        return Work(f"cost {figures['cost']}", f"cost at least {wanted.bcrypt_cost}", ("bcrypt_cost",), enough)
    if stored.algorithm == "scrypt":
        n, r, p = figures["n"], figures["r"], figures["p"]
        return Work(
            f"N {n:,}, r {r}, p {p}",
            f"N at least {wanted.scrypt_n:,}, N x r x p at least {_SCRYPT_WORK:,}",
            ("scrypt_n",),
            n >= wanted.scrypt_n and n * r * p >= _SCRYPT_WORK,
        )
    return Work("-", "a current algorithm" if stored.algorithm != NO_PASSWORD else "-")


@dataclass(frozen=True)
class Account:
    """An active superuser as the database has it.

    Attributes:
        user: The user's name.
        stored: The hash.
        names: What a password is likely to be made of.
    """

    user: str
    stored: Hash
    names: Mapping[str, str] = field(repr=False)

    @property
    def said(self) -> str:
        """The user's name, of a length to be shown."""
        return self.user if len(self.user) <= _LONGEST_NAME else f"{self.user[:_LONGEST_NAME]}…"


@dataclass(frozen=True)
class Judged:
    """What was seen of one account.

    Attributes:
        user: The user's name.
        stored: The hash.
        work: Its work factor.
        words: How many words there were to try.
        tried: How many of them were tried.
        first: So many had to be.
        tried_first: So many of those were tried.
        common: Whether one of them is the password.
        untried: Why words can't be tried on this account; empty when they can.
    """

    user: str
    stored: Hash
    work: Work
    words: int = 0
    tried: int = 0
    first: int = 0
    tried_first: int = 0
    common: bool = False
    untried: str = ""

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong with it, a sentence each."""
        if self.stored.algorithm == UNKNOWN:
            return (f"{self.user}'s hash has a format that Django doesn't know",)
        found = [f"{self.user} has {COMMON}"] if self.common else []
        if self.stored.weak:
            found.append(f"{self.user}'s hash is {self.stored.said}")
        elif not self.work.enough:
            found.append(f"{self.user}'s hash is {self.stored.said} with {self.work.has} (wanted: {self.work.wanted})")
        return tuple(found)

    @property
    def unseen(self) -> str:
        """Why it isn't known whether the password is a common one; empty when it is known."""
        if self.stored.algorithm in {NO_PASSWORD, UNKNOWN}:
            return ""
        if self.untried:
            return f"{self.user}: {self.untried}"
        if self.tried_first < self.first:
            return f"{self.user}: {self.tried_first} of the {self.first} words that come first were tried"
        return ""

    @property
    def row(self) -> dict[str, str]:
        """The account, for the report."""
        tried = "no password" if self.stored.algorithm == NO_PASSWORD else f"{self.tried} of {self.words}"
        return {
            "user": self.user,
            "stored as": self.stored.said,
            "work": self.work.has,
            "wanted": self.work.wanted,
            "words tried": tried,
            "seen": "; ".join(self.findings) or self.unseen or "nothing wrong",
        }


@dataclass(frozen=True)
class Passwords:
    """What was seen of the active superusers' passwords.

    Attributes:
        accounts: All active superusers.
        inactive: How many superusers can't log in; their hashes weren't read.
        took: How long the trying took, in seconds.
        limit: How long it may take, in seconds.
    """

    accounts: tuple[Judged, ...]
    inactive: int
    took: float
    limit: float

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong, a sentence each."""
        return tuple(sentence for one in self.accounts for sentence in one.findings)

    @property
    def unseen(self) -> tuple[str, ...]:
        """Of whom it isn't known whether the password is a common one, and why."""
        return tuple(filter(None, (one.unseen for one in self.accounts)))

    @property
    def looked_at(self) -> str:
        """The denominator, in words."""
        seen = len(self.accounts) - len(self.unseen)
        return f"{seen} of {len(self.accounts)} active superusers, {self._trying}"

    @property
    def said(self) -> str:
        """What was seen, in words."""
        shown = self.findings[:5]
        more = len(self.findings) - len(shown)
        return "; ".join((*shown, f"{more} more") if more else shown) or f"nothing wrong, {self._trying}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know beside it."""
        notes = [f"not known whether it is a common one: {one}" for one in self.unseen]
        notes += [f"{one.user} has no password to log in with" for one in self._without]
        if any(one.tried < one.words and not one.untried for one in self.accounts):
            notes.append(f"time was up after {_seconds(self.took)} (timeouts.passwords), before all words were tried")
        if self.inactive:
            notes.append(f"{self.inactive} more superusers aren't active and were not looked at")
        return tuple(notes)

    @property
    def limits(self) -> tuple[str, ...]:
        """The names of the limits that something was held against."""
        return tuple(dict.fromkeys(name for one in self.accounts for name in one.work.limits))

    @property
    def tried(self) -> int:
        """How many guesses were made."""
        return sum(one.tried for one in self.accounts)

    def rows(self) -> list[dict[str, str]]:
        """The accounts, what is wrong first, for the report."""
        return [one.row for one in sorted(self.accounts, key=lambda one: not (one.findings or one.unseen))]

    def must_see(self) -> None:
        """Insist that there was enough to look at for a verdict. A fault that was seen is a verdict.

        Raises:
            CannotTell: If there is no active superuser, or the likeliest passwords couldn't be tried on one of them.
        """
        if not self.accounts:
            raise CannotTell(
                f"there is no active superuser to look at, of {self.inactive} superusers",
                mend="If it is meant to be so, say it in the target: [not_applicable] admin-passwords = the reason. "
                "If not, see whether application.users is the table that the application uses.",
            )
        if self.unseen and not self.findings:
            raise CannotTell(
                "the common passwords couldn't be tried on everybody: "
                + "; ".join((*self.unseen[:3], *(("…",) if len(self.unseen) > 3 else ()))),
                mend=self._mend,
            )

    @property
    def _mend(self) -> str:
        """What lets words be tried on everybody."""
        missing = {one.stored.package for one in self.accounts if one.untried} - {"", "-"}
        if missing:
            return f"pip install {' '.join(sorted(missing))}, where this suite is installed."
        if all(one.stored.memory > MOST_MEMORY for one in self.accounts if one.unseen):
            return "Lower the memory cost of the hasher; such a hash is a burden at every login."
        return f"Give it more time than {_seconds(self.limit)} (timeouts.passwords), or fewer words (passwords.words)."

    @property
    def _without(self) -> list[Judged]:
        return [one for one in self.accounts if one.stored.algorithm == NO_PASSWORD]

    @property
    def _trying(self) -> str:
        """How much was tried."""
        words = sum(one.words for one in self.accounts)
        if not self.tried:
            return "no word tried"
        share = f"{self.tried}" if self.tried == words else f"{self.tried} of {words}"
        on = sum(one.tried > 0 for one in self.accounts)
        return f"{share} guesses at {on} {'hash' if on == 1 else 'hashes'} in {_seconds(self.took)}"


def look(
    database: Database,
    users: str,
    wanted: Limits,
    *,
    given: Path | None,
    project: str,
    site: str,
    year: int,
    seconds: float,
) -> Passwords:
    """Look at the active superusers' passwords.

    Args:
        database: Where they are stored.
        users: The table of Django's users.
        wanted: What a hash should have cost.
        given: A file with words to try before the suite's own; None where there is none.
        project: The system's name.
        site: The name of the site's host; may be empty.
        year: The present one.
        seconds: Total time limit of the trying, in seconds.

    Raises:
        CannotTell: If the table can't be read, or the file of words can't.
    """
    words = given_words(given)
    accounts, inactive = superusers(database, users, {"project": project, "site": site_name(site)})
    trials: list[Trial | None] = [None] * len(accounts)
    for number, one in enumerate(accounts):
        if one.stored.text is not None and not _untriable(one.stored):
            trials[number] = Trial(one.stored, words.then(likely_words(one.names, year)), one.stored.seconds)
    took = Trials([one for one in trials if one is not None], seconds).run()
    judged = tuple(_judged(account, trial, wanted, seconds) for account, trial in zip(accounts, trials, strict=True))
    return Passwords(judged, inactive, took, seconds)


def superusers(database: Database, users: str, system: Mapping[str, str]) -> tuple[Sequence[Account], int]:
    """The active superusers, and how many others there are.

    Args:
        database: Where they are stored.
        users: The table.
        system: What passwords are made of besides a user's names.
    """
    rows = database.ask("superusers", names={"users": users})
    accounts = []
    while rows:
        # Taken out one by one: from here on no frame holds a hash in the clear.
        account = _account(rows.pop(0), system)
        accounts.append(account)
    active = [one for one in accounts if one is not None]
    return active, len(accounts) - len(active)


def _account(row: dict[str, Any], system: Mapping[str, str]) -> Account | None:
    """A row of the table; None for who can't log in."""
    stored = read(row.pop("password"))
    if not row["is_active"]:
        return None
    user = str(row["username"])
    names = {
        "user": user,
        "first": str(row["first_name"] or ""),
        "last": str(row["last_name"] or ""),
        "mail": str(row["email"] or "").partition("@")[0],
    }
    return Account(user, stored, {**system, **names})


def site_name(host: str) -> str:
    """What a site is called: the longest part of its host's name, the last left out; empty for an address."""
    try:
        ip_address(host)
    except ValueError:
        return max(host.split(".")[:-1] or [host], key=len)
    return ""


def _untriable(stored: Hash) -> str:
    """Why no word can be tried on a hash; empty when some can."""
    if package := missing_package(stored):
        return f"{package} isn't installed" if package != "-" else f"nothing here can check {stored.said}"
    if stored.memory > MOST_MEMORY:
        return f"a guess takes {say_bytes(stored.memory)} of memory"
    return ""


def _judged(account: Account, trial: Trial | None, wanted: Limits, seconds: float) -> Judged:
    what = (account.said, account.stored, work(account.stored, wanted))
    if trial is None:
        return Judged(*what, untried=_untriable(account.stored))
    untried = ""
    if not trial.tried:
        untried = (
            f"{trial.impossible} guesses failed"
            if trial.impossible
            else f"a guess takes some {_seconds(trial.seconds)}, and there were {_seconds(seconds)} for everybody"
        )
    return Judged(*what, len(trial.words), trial.tried, trial.words.first, trial.tried_first, trial.fitted, untried)


def _seconds(seconds: float) -> str:
    return say_span(timedelta(seconds=round(seconds, 1) if seconds >= 1 else round(seconds, 3)))
