"""Stored passwords are judged as Django reads them, words are tried within their time, and nothing of it is shown."""

from __future__ import annotations

import hashlib
import importlib
import os
import signal
import string
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.conf import settings
from hypothesis import example, given
from hypothesis import strategies as st

from observe import password_hashes
from observe.errors import CannotTell
from observe.password_hashes import FORMATS, NO_PASSWORD, UNKNOWN, matches, missing_package, read
from observe.password_trial import OURS, Trial, Trials, Words, given_words, likely_words
from observe.passwords import Passwords, look, site_name, work
from proofs.containers.postgres import Postgres, running
from target.kinds import Secret
from target.model import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:django.contrib.auth.hashers")  # that old formats will go

RIGHT, WRONG = "geheim-7391 ü", "geheim-7392 ü"
HASHERS = {
    "pbkdf2_sha256": "PBKDF2PasswordHasher",
    "pbkdf2_sha1": "PBKDF2SHA1PasswordHasher",
    "argon2": "Argon2PasswordHasher",
    "bcrypt_sha256": "BCryptSHA256PasswordHasher",
    "bcrypt": "BCryptPasswordHasher",
    "scrypt": "ScryptPasswordHasher",
    "sha1": "SHA1PasswordHasher",
    "md5": "MD5PasswordHasher",
    "unsalted_sha1": "UnsaltedSHA1PasswordHasher",
    "unsalted_md5": "UnsaltedMD5PasswordHasher",
}
OLD_PASSWORD = "geheim-7391"  # noqa: S105
BY_DJANGO_3_2 = {
    "pbkdf2_sha256": "pbkdf2_sha256$260000$JJ9EZZYWZDsFzVUgqByMW2$jKNGotAv7A4ML9AOdxxHY1yUjgYyjI2taoJtCDLV5/U=",
    "pbkdf2_sha1": "pbkdf2_sha1$260000$8Od5EwhQjOtf6Otom6mtKm$fHQV8gET0InAwjUbb7M4e19Aqr4=",
    "sha1": "sha1$CtbKw6YolkfYjFaWtS8doe$02d2038cd2b3507f3199b987ada4da697632b7d1",
    "md5": "md5$8fepPrayTv2PkckREXkzbA$61f0f682d380366bd1834bac404e17cd",
    "unsalted_sha1": "sha1$$a7800c37b0dcd7c4d08cbe624d0ee4176d0823e9",
    "unsalted_md5": "653a7ab7e6f8db70eb972d97634cedbd",
    "bcrypt_sha256": "bcrypt_sha256$$2b$12$bf1cANT/B0hZPtBXOJyqq.6oYEQZIh6j9PRMhMta/SYeVojGGLTrK",
}
"""Made by the version that the lab's backend has."""
CRYPT = "crypt$$RqkWZLc/Nu3A2"
YEAR = 2026
THE_LIMITS = Limits()


@pytest.fixture(autouse=True)
def _secrets_of_a_test_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Secret, "_known", set())


@pytest.fixture(scope="module", autouse=True)
def _configured() -> None:
    if not settings.configured:
        settings.configure(PASSWORD_HASHERS=[f"django.contrib.auth.hashers.{name}" for name in HASHERS.values()])
        django.setup()


def stored_by_django(word: str, algorithm: str) -> str:
    from django.contrib.auth.hashers import make_password

    return str(make_password(word, hasher=algorithm))


def django_says(word: str, text: str) -> bool:
    from django.contrib.auth.hashers import check_password

    return bool(check_password(word, text))


def cheap(word: str, iterations: int = 1) -> str:
    """A hash in Django's default format that costs next to nothing to try."""
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    return str(PBKDF2PasswordHasher().encode(word, "abcdefgh", iterations))


def user(name: str, password: str | None, *, active: bool = True, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    names = {"first_name": "", "last_name": "", "email": ""} | more
    return {"username": name, "is_active": active, "password": password, **names}


@dataclass
class Table:
    """A database that has these superusers."""

    rows: list[dict[str, Any]] = field(repr=False)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def ask(self, name: str, names: Mapping[str, str]) -> list[dict[str, Any]]:
        self.asked.append((name, names))
        return [dict(row) for row in self.rows]


def seen(*rows: dict[str, Any], limits: Limits = THE_LIMITS, seconds: float = 30, **more: Any) -> Passwords:  # noqa: ANN401
    table: Any = Table(list(rows))
    about: dict[str, Any] = {"given": None, "project": "shop", "site": "www.example.org", "year": YEAR}
    return look(table, "auth_user", limits, seconds=seconds, **about | more)


FREE = Limits(pbkdf2_iterations=1)  # type: ignore[arg-type]
"""Limits under which the cheap hashes of these proofs cost enough."""


# Django's formats.


@pytest.mark.parametrize("algorithm", HASHERS)
def test_a_hash_is_read_and_checked_as_django_does(algorithm: str) -> None:
    text = stored_by_django(RIGHT, algorithm)
    stored = read(text)
    assert stored.algorithm == algorithm
    for word in (RIGHT, WRONG, "", RIGHT.upper()):
        assert matches(stored, word) is django_says(word, text)
    assert matches(stored, RIGHT) is True


@pytest.mark.parametrize("algorithm", BY_DJANGO_3_2)
def test_so_are_those_of_an_older_django(algorithm: str) -> None:
    text = BY_DJANGO_3_2[algorithm]
    stored = read(text)
    assert stored.algorithm == algorithm
    for word in (OLD_PASSWORD, WRONG):
        assert matches(stored, word) is django_says(word, text)
    assert matches(stored, OLD_PASSWORD) is True


@pytest.mark.parametrize("algorithm", ["sha1", "md5", "unsalted_sha1", "unsalted_md5"])
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_word_is_checked_as_django_does(algorithm: str, word: str, other: str) -> None:
    text = stored_by_django(word, algorithm)
    assert matches(read(text), word) is True
    assert matches(read(text), other) is django_says(other, text)


@given(st.text(max_size=40), st.text(max_size=40), st.integers(1, 20))
def test_so_it_is_in_the_default_format(word: str, other: str, iterations: int) -> None:
    text = cheap(word, iterations)
    assert matches(read(text), word) is True
    assert matches(read(text), other) is django_says(other, text)


def test_every_known_format_is_proven() -> None:
    assert set(FORMATS) == {*HASHERS, "crypt"}


@pytest.mark.parametrize(
    ("text", "algorithm"),
    [
        (None, NO_PASSWORD),
        ("", NO_PASSWORD),
        ("!", NO_PASSWORD),
        ("!dHtOYw2LCvymSJW3IVOlMfU8LECTjLBYs1ZsQj9p", NO_PASSWORD),
        (CRYPT, "crypt"),
        ("md5$$653a7ab7e6f8db70eb972d97634cedbd", "unsalted_md5"),
        ("geheim", UNKNOWN),
        ("pbkdf2_sha512$720000$salt$jKNGotAv7A4ML9AOdxxHY1yUjgYyjI2taoJtCDLV5/U=", UNKNOWN),
        ("pbkdf2_sha256$720000$salt$jKNGotAv7A4ML9AOdxxHY1yUjgYyjI2taoJtCDLV", UNKNOWN),
        ("pbkdf2_sha256$0$salt$jKNGotAv7A4ML9AOdxxHY1yUjgYyjI2taoJtCDLV5/U=", UNKNOWN),
        ("pbkdf2_sha256$720000$$jKNGotAv7A4ML9AOdxxHY1yUjgYyjI2taoJtCDLV5/U=", UNKNOWN),
        ("bcrypt$$2b$99$bf1cANT/B0hZPtBXOJyqq.6oYEQZIh6j9PRMhMta/SYeVojGGLTrK", UNKNOWN),
        ("scrypt$16383$salt$8$5$" + "A" * 86 + "==", UNKNOWN),
        ("653A7AB7E6F8DB70EB972D97634CEDBD", UNKNOWN),
        ("x" * 100_000, UNKNOWN),
    ],
)
def test_what_is_no_hash_isnt_taken_for_one(text: str | None, algorithm: str) -> None:
    stored = read(text)
    assert stored.algorithm == algorithm
    if algorithm in {NO_PASSWORD, UNKNOWN}:
        assert stored.text is None
        assert matches(stored, "geheim") is None


pieces = st.one_of(
    st.sampled_from([*FORMATS, "$", "$$", "!", "v=19", "m=8,t=1,p=1", "argon2id", "$2b$04$", "1", "8", "2", "=", "=="]),
    st.text(alphabet=string.ascii_letters + string.digits + "+/.=$,", max_size=60),
    st.text(max_size=5),
)


@given(st.lists(pieces, max_size=10).map("".join) | st.text() | st.text(alphabet=st.characters()), st.text(max_size=5))
@example("argon2$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAA", "x")
@example("scrypt$2$salt$1$1$" + "A" * 86 + "==", "x")
@example("bcrypt$$2x$04$" + "A" * 53, "x")
@example("bcrypt$$2b$04$" + "A" * 53, "x")
@example("pbkdf2_sha256$1$\ud800$jKNGotAv7A4ML9AOdxxHY1yUjgYyjI2taoJtCDLV5/U=", "x")
@example("653a7ab7e6f8db70eb972d97634cedbd", "\ud800")
def test_garbage_never_raises(text: str, word: str) -> None:
    stored = read(text)
    assert text[:20] not in {"", *(repr(stored),)} or not text
    work(stored, THE_LIMITS)
    if stored.seconds < 0.1 and stored.memory < 2**24:
        assert matches(stored, word) in {True, False, None}


# Work factors.


@pytest.mark.parametrize(
    ("text", "enough"),
    [
        (BY_DJANGO_3_2["pbkdf2_sha256"], False),
        (BY_DJANGO_3_2["pbkdf2_sha256"].replace("260000", "600000"), True),
        (BY_DJANGO_3_2["pbkdf2_sha256"].replace("260000", "599999"), False),
        (BY_DJANGO_3_2["pbkdf2_sha1"].replace("260000", "600000"), False),
        (BY_DJANGO_3_2["pbkdf2_sha1"].replace("260000", "1300000"), True),
        (BY_DJANGO_3_2["bcrypt_sha256"], True),
        (BY_DJANGO_3_2["bcrypt_sha256"].replace("$12$", "$09$"), False),
        ("argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdHNhbHRzYWx0$aGFzaGhhc2g", True),
        ("argon2$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2g", True),
        ("argon2$argon2id$v=19$m=19455,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2g", False),
        ("argon2$argon2id$v=19$m=102400,t=1,p=8$c2FsdHNhbHRzYWx0$aGFzaGhhc2g", False),
        ("argon2$argon2i$v=19$m=102400,t=2,p=8$c2FsdHNhbHRzYWx0$aGFzaGhhc2g", False),
        *[(f"scrypt${n}$salt$8${p}$" + "A" * 86 + "==", True) for n, p in ((2**17, 1), (2**16, 2), (2**15, 3))],
        ("scrypt$16384$salt$8$5$" + "A" * 86 + "==", True),
        ("scrypt$16384$salt$8$1$" + "A" * 86 + "==", False),
        ("scrypt$8192$salt$8$10$" + "A" * 86 + "==", False),
    ],
)
def test_a_work_factor_is_held_against_its_limit(text: str, enough: bool) -> None:
    judged = work(read(text), THE_LIMITS)
    assert judged.enough is enough
    assert judged.limits


# What is seen of the accounts.


def test_good_passwords_hold() -> None:
    one = seen(user("oskar", cheap("Xa7-long-and-good")), user("signe", cheap("another-good-one")), limits=FREE)
    one.must_see()
    assert one.findings == ()
    assert one.looked_at.startswith("2 of 2 active superusers, ")
    assert one.tried == sum(account.words for account in one.accounts)
    assert one.limits == ("pbkdf2_iterations",)


@pytest.mark.parametrize(
    ("name", "password", "more"),
    [
        ("admin", "admin123", {}),
        ("oskar", "oskar", {}),
        ("Oskar", "oskar123", {}),
        ("oskar", "oskar2026", {}),
        ("oskar", "oskar2025", {}),
        ("chief", "Raksoson123", {"last_name": "Raksoson"}),
        ("chief", "ork123", {"email": "ork@example.org"}),
        ("oskar", "shop123", {}),
        ("oskar", "example123", {}),
        ("a{user}", "auser", {}),
    ],
)
def test_a_likely_password_is_found(name: str, password: str, more: dict[str, Any]) -> None:
    one = seen(user(name, cheap(password), **more), user("signe", cheap("a-good-one-7391")), limits=FREE)
    one.must_see()
    assert one.findings == (f"{name} has one of the common passwords",)


@pytest.mark.parametrize("text", [*BY_DJANGO_3_2.values(), CRYPT, "geheim", "x" * 60])
def test_what_is_out_of_date_is_said_by_the_users_name(text: str) -> None:
    one = seen(user("oskar", text), limits=Limits(bcrypt_cost=13), seconds=0.05)  # type: ignore[arg-type]
    one.must_see()
    assert [sentence for sentence in one.findings if sentence.startswith("oskar's hash ")]


def test_who_has_no_password_is_looked_at_and_said() -> None:
    one = seen(user("oskar", "!abc"), user("signe", ""))
    one.must_see()
    assert (one.findings, one.unseen) == ((), ())
    assert one.looked_at == "2 of 2 active superusers, no word tried"
    assert one.notes == tuple(f"{name} has no password to log in with" for name in ("oskar", "signe"))


@pytest.mark.parametrize("rows", [[], [user("old", None, active=False)]])
def test_without_an_active_superuser_nothing_can_be_told(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(CannotTell, match=r"no active superuser") as told:
        seen(*rows).must_see()
    assert "not_applicable" in told.value.mend


def test_who_isnt_active_is_counted_and_not_judged() -> None:
    one = seen(user("old", None, active=False), user("oskar", cheap("a-good-one-7391")), limits=FREE)
    assert one.inactive == 1
    assert "1 more superusers aren't active" in " ".join(one.notes)
    assert one.looked_at.startswith("1 of 1 ")


# Trying.


def test_the_list_is_short_and_no_word_stands_twice() -> None:
    words = likely_words({"user": "oskar", "project": "shop", "site": "shop"}, YEAR)
    assert 20 <= len(words) <= 50
    assert 8 <= words.first <= 12
    lines = [line for line in OURS.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(set(lines))
    assert not [line for line in lines if line != line.strip() or not line]


def test_the_settings_words_are_tried_first_and_all_of_them_must_be(tmp_path: Path) -> None:
    file = tmp_path / "words"
    file.write_text("\ufeffseeded-by-set-up\r\n\nadmin\nadmin\n# no comment\n", encoding="utf-8")
    one = seen(user("oskar", cheap("seeded-by-set-up")), user("signe", cheap("# no comment")), limits=FREE, given=file)
    assert len(one.findings) == 2
    assert len(given_words(file)) == given_words(file).first == 3
    assert one.accounts[0].first > 10


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"", "has no word"),
        (b"\n\n", "has no word"),
        (b"f\xff\xfe", "UTF-8"),
        (b"x" * 2**21, "MiB"),
    ],
)
def test_a_file_of_words_that_cant_be_read_is_said(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "words"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CannotTell, match=said) as told:
        given_words(file)
    assert "passwords.words" in told.value.what


def dear(word: str, seconds: float) -> str:
    """A hash of which one guess takes about so long here."""
    best = 60.0
    for _ in range(5):  # whatever else the machine does
        begun = time.perf_counter()
        hashlib.pbkdf2_hmac("sha256", b"x", b"y", 20_000)
        best = min(best, time.perf_counter() - begun)
    return cheap(word, max(1, int(20_000 * seconds / best)))


def test_the_time_is_kept_and_what_wasnt_tried_is_said() -> None:
    begun = time.monotonic()
    one = seen(user("oskar", dear("good-7391", 0.3)), user("signe", cheap("good-7392")), limits=FREE, seconds=1.0)
    assert time.monotonic() - begun < 3
    oskar, signe = one.accounts
    assert 0 < oskar.tried < oskar.first
    assert signe.tried == signe.words  # the cheap one isn't kept waiting by the dear one
    assert "time was up after" in " ".join(one.notes)
    assert one.looked_at.startswith("1 of 2 ")
    with pytest.raises(CannotTell, match=r"oskar: \d of the \d+ words that come first") as told:
        one.must_see()
    assert "timeouts.passwords" in told.value.mend


def test_a_guess_that_would_take_longer_than_there_is_time_isnt_begun() -> None:
    begun = time.monotonic()
    one = seen(user("oskar", cheap("x").replace("$1$", "$2000000000$", 1)), seconds=1)
    assert time.monotonic() - begun < 1
    with pytest.raises(CannotTell, match="a guess takes some"):
        one.must_see()


def test_a_guess_that_would_take_all_the_memory_isnt_begun() -> None:
    one = seen(user("oskar", "argon2$argon2id$v=19$m=99999999,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2g"))
    assert not one.tried
    with pytest.raises(CannotTell, match="of memory"):
        one.must_see()


def test_what_was_found_is_a_verdict_whatever_wasnt_seen() -> None:
    one = seen(
        user("oskar", cheap("x").replace("$1$", "$2000000000$", 1)),
        user("signe", cheap("admin")),
        limits=FREE,
        seconds=1,
    )
    one.must_see()
    assert one.findings == ("signe has one of the common passwords",)
    assert "oskar" in " ".join(one.notes)


@pytest.mark.parametrize(
    ("algorithm", "package"), [("argon2", "argon2-cffi"), ("bcrypt_sha256", "bcrypt"), ("bcrypt", "bcrypt")]
)
def test_without_the_package_the_hash_is_judged_and_the_trying_said_not_to_have_been_possible(
    algorithm: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = stored_by_django("admin", algorithm)
    assert missing_package(read(text)) == ""
    monkeypatch.setitem(sys.modules, "argon2.low_level", None)
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    one = seen(user("oskar", text))
    assert (one.findings, one.tried) == ((), 0)
    assert one.accounts[0].work.enough
    with pytest.raises(CannotTell, match=f"{package} isn't installed") as told:
        one.must_see()
    assert f"pip install {package}" in told.value.mend
    assert matches(read(text), "admin") is None


def guessing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "guessing"]


def test_an_interruption_ends_it_and_leaves_no_thread() -> None:
    stored = read(dear("good-7391", 0.2))
    trial = Trial(stored, Words([str(number) for number in range(100)], 10), stored.seconds)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Trials([trial], 60).run()
    assert time.monotonic() - begun < 3
    assert 0 < trial.tried < 20
    assert guessing() == []


def test_no_thread_is_left_after_a_look() -> None:
    seen(user("oskar", cheap("x")), limits=FREE)
    assert guessing() == []


# Secrets.


def test_neither_a_hash_nor_a_password_nor_a_guess_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "words"
    file.write_text("seeded-by-set-up\n")
    texts = [cheap("seeded-by-set-up"), stored_by_django("admin123", "md5"), "x" * 60, "plain-7391"]
    one = seen(*(user(f"user{number}", text) for number, text in enumerate(texts)), given=file, limits=FREE)
    shown = " ".join((repr(one), one.said, one.looked_at, *one.notes, str(one.rows()), str(one.findings)))
    for secret in (*texts, *(text.rpartition("$")[2] for text in texts), "seeded-by-set-up", "admin123", "changeme"):
        assert secret not in shown
    assert set(texts[:3]) <= set(Secret.known())
    assert not {"plain-7391", "seeded-by-set-up", "admin123", "admin"} & set(Secret.known())


def test_neither_their_number_nor_the_rank_tells_which_word_it_was() -> None:
    first = seen(user("oskar", cheap("oskar")), limits=FREE)
    last = seen(user("oskar", cheap("P@ssw0rd")), limits=FREE)
    assert first.findings
    assert first.rows() == last.rows()
    assert first.tried == last.tried


def locals_of(trouble: BaseException) -> str:
    """All that a traceback with its variables would show, of our own frames."""
    frames = traceback.TracebackException.from_exception(trouble, capture_locals=True).stack
    return " ".join(str(frame.locals) for frame in frames if "/proofs/" not in frame.filename)


def test_a_traceback_with_its_variables_shows_none_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [stored_by_django("geheim-7391", "md5"), cheap("geheim-7392")]
    file = tmp_path / "words"
    file.write_text("seeded-by-set-up\n")

    def broken(*_: object) -> float:
        raise RuntimeError

    monkeypatch.setattr(Trials, "run", broken)
    with pytest.raises(RuntimeError) as told:
        seen(*(user("oskar", text) for text in texts), given=file)
    shown = locals_of(told.value)
    assert "oskar" in shown
    assert not [text for text in (*texts, *(text.rpartition("$")[2] for text in texts)) if text in shown]
    assert "seeded-by-set-up" not in shown
    assert "changeme" not in shown


def test_a_file_that_is_refused_shows_nothing_of_itself(tmp_path: Path) -> None:
    file = tmp_path / "words"
    file.write_bytes(b"geheim-7391\n\xff")
    with pytest.raises(CannotTell) as told:
        given_words(file)
    assert "geheim" not in locals_of(told.value)
    assert told.value.__cause__ is None
    assert told.value.__context__ is None


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("www.example.org", "example"),
        ("shop.example.co.uk", "example"),
        ("localhost", "localhost"),
        ("192.0.2.7", ""),
        ("2001:db8::1", ""),
        ("", ""),
    ],
)
def test_what_a_site_is_called(host: str, name: str) -> None:
    assert site_name(host) == name


def test_the_packages_are_imported_late() -> None:
    """Collecting imports no client."""
    source = importlib.import_module(password_hashes.__name__).__dict__
    assert not {"argon2", "bcrypt"} & set(source)


# The table itself.

USERS = """
CREATE TABLE auth_user (
    id serial, username text, first_name text, last_name text, email text, password text, is_superuser bool,
    is_active bool
);
INSERT INTO auth_user (username, first_name, last_name, email, password, is_superuser, is_active) VALUES
    ('oskar', '', '', '', 'md5$$653a7ab7e6f8db70eb972d97634cedbd', true, true),
    ('old', '', '', '', 'md5$$653a7ab7e6f8db70eb972d97634cedbd', true, false),
    ('mira', '', '', '', 'md5$$653a7ab7e6f8db70eb972d97634cedbd', false, true);
CREATE SCHEMA other;
CREATE VIEW other.people AS SELECT id, username, password FROM auth_user;
GRANT USAGE ON SCHEMA other TO ops, app;
REVOKE ALL ON auth_user FROM app;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running() as postgres:
        with postgres.connect() as chief:
            chief.execute(USERS)
        yield postgres


def looked(server: Postgres, table: str = "auth_user", role: str = "ops") -> Passwords:
    return look(server.database(role), table, THE_LIMITS, given=None, project="shop", site="", year=YEAR, seconds=5)


@pytest.mark.parametrize("table", ["auth_user", "public.auth_user"])
def test_the_active_superusers_of_the_table_are_looked_at(server: Postgres, table: str) -> None:
    one = looked(server, table)
    one.must_see()
    assert [account.user for account in one.accounts] == ["oskar"]
    assert one.inactive == 1
    assert one.findings == ("oskar's hash is MD5 without a salt",)


@pytest.mark.parametrize(
    ("table", "role", "said", "mend"),
    [
        ("people", "ops", "does not exist", "application"),
        ("other.people", "ops", "does not exist", "application"),
        ("auth_user", "app", "permission denied", "GRANT"),
    ],
)
def test_a_table_that_cant_be_read_tells_nothing(server: Postgres, table: str, role: str, said: str, mend: str) -> None:
    with pytest.raises(CannotTell, match=said) as told:
        looked(server, table, role)
    assert mend in told.value.mend


def test_some_columns_are_enough(server: Postgres) -> None:
    """A role need not read all that is there."""
    columns = "username, first_name, last_name, email, is_superuser, is_active, password"
    with server.connect() as chief:
        chief.execute(f"GRANT SELECT ({columns}) ON auth_user TO app".encode())
    try:
        assert looked(server, role="app").findings
    finally:
        with server.connect() as chief:
            chief.execute(f"REVOKE SELECT ({columns}) ON auth_user FROM app".encode())  # noqa: S608
