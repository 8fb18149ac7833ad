"""Django's formats of stored passwords: what they say of themselves, and whether a word is the password.

Everything is reckoned from the text of a hash, off line. Nothing of a hash but its algorithm and its work factor can
be seen in an object of this module, and nothing here raises, whatever stands in the database.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from target.kinds import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NO_PASSWORD = "none"  # noqa: S105  says that there is none
UNKNOWN = "unknown"
MOST_MEMORY = 1024**3
"""A guess that needs more bytes than this isn't made."""
_LONGEST = 1000
"""Django's column holds 128 characters; a longer text than this is no hash."""
_TELLING = 20
"""A text of an unknown format that is shorter than this isn't kept out of reports: it could be any word of them."""
_FIGURES = frozenset({"iterations", "memory", "time", "lanes", "cost", "n", "r", "p"})
_PLACE = "A-Za-z0-9+/"
_END = "[AEIMQUYcgkosw048]"
"""What the last letter of 20 or 32 bytes in base 64 can be."""


@dataclass(frozen=True)
class Format:
    """One way of storing a password.

    Attributes:
        said: What it is called.
        pattern: What it looks like, with its figures as named groups.
        check: Whether a word is the password; may raise.
        seconds: Roughly how long one guess takes on a slow machine, in seconds.
        memory: How much of it one guess takes, in bytes.
        weak: Whether it is out of date, whatever its figures.
        package: What has to be installed to check a word; `-` where nothing can.
    """

    said: str
    pattern: re.Pattern[str]
    check: Callable[[re.Match[str], bytes], bool]
    seconds: Callable[[Mapping[str, int]], float] = lambda _: 2e-6
    memory: Callable[[Mapping[str, int]], int] = lambda _: 0
    weak: bool = False
    package: str = ""


@dataclass(frozen=True)
class Hash:
    """A stored password, of which only what is no secret can be seen.

    Attributes:
        algorithm: Django's name of it; `none` where there is no password, `unknown` where the text is in no format.
        said: The same in words.
        figures: Its work factor.
        weak: Whether the algorithm is out of date.
        seconds: Roughly how long one guess takes, in seconds.
        memory: How much of it one guess takes, in bytes.
        package: What has to be installed to try words; `-` where nothing can.
    """

    algorithm: str
    said: str
    figures: Mapping[str, int] = field(default_factory=dict)
    weak: bool = False
    seconds: float = 0.0
    memory: int = 0
    package: str = ""
    text: Secret | None = field(default=None, repr=False)


def read(text: str | None) -> Hash:
    """What a stored password says of itself. It is known as a secret from here on.

    Args:
        text: What stands in the database; a text that begins with `!` is Django's way to say that there is none.
    """
    if not text or text.startswith("!"):
        return Hash(NO_PASSWORD, "no password")
    for algorithm, known in FORMATS.items():
        if (found := known.pattern.fullmatch(text) if len(text) <= _LONGEST else None) is None:
            continue
        figures = {name: int(figure) for name, figure in found.groupdict().items() if name in _FIGURES}
        if not _possible(algorithm, figures):
            break
        return Hash(
            algorithm,
            f"Argon2{found['variant']}" if algorithm == "argon2" else known.said,
            figures,
            known.weak,
            known.seconds(figures),
            known.memory(figures),
            known.package,
            Secret(text),
        )
    if len(text) >= _TELLING:
        Secret(text)
    return Hash(UNKNOWN, "a format that isn't known")


def missing_package(stored: Hash) -> str:
    """The package that has to be installed before words can be tried; empty when they can be."""
    if not stored.package or stored.package == "-":
        return stored.package
    try:
        importlib.import_module(_MODULES[stored.package])
    except Exception:  # noqa: BLE001  a package that is there and can't be loaded is none
        return stored.package
    return ""


def matches(stored: Hash, word: str) -> bool | None:
    """Whether a word is the password; None when that couldn't be found out."""
    if stored.text is None or stored.memory > MOST_MEMORY:
        return None
    known = FORMATS[stored.algorithm]
    try:
        found = known.pattern.fullmatch(stored.text.reveal())
        return found is not None and known.check(found, word.encode())
    except Exception:  # noqa: BLE001  the frames of the libraries hold the hash: nothing comes out of here
        return None


def _possible(algorithm: str, figures: Mapping[str, int]) -> bool:
    """Whether a password could have been stored with these figures."""
    if algorithm == "scrypt":
        n = figures["n"]
        return n > 1 and n & (n - 1) == 0 and figures["r"] > 0 and figures["p"] > 0
    if algorithm == "argon2":
        return figures["time"] > 0 and figures["lanes"] > 0 and figures["memory"] >= 8 * figures["lanes"]
    return not algorithm.startswith("bcrypt") or 4 <= figures["cost"] <= 31


def _pbkdf2(digest: str) -> Callable[[re.Match[str], bytes], bool]:
    def check(found: re.Match[str], word: bytes) -> bool:
        made = hashlib.pbkdf2_hmac(digest, word, found[2].encode(), int(found["iterations"]))
        return base64.b64encode(made).decode() == found[3]

    return check


def _salted(digest: str) -> Callable[[re.Match[str], bytes], bool]:
    # The formats are old and weak, which is what is found out here.
    return lambda found, word: hashlib.new(digest, found[1].encode() + word).hexdigest() == found[2]


def _unsalted(digest: str) -> Callable[[re.Match[str], bytes], bool]:
    return lambda found, word: hashlib.new(digest, word).hexdigest() == found[1]


def _scrypt(found: re.Match[str], word: bytes) -> bool:
    n, r, p = (int(found[name]) for name in ("n", "r", "p"))
    most = _scrypt_memory({"n": n, "r": r, "p": p}) + 1024**2
    made = hashlib.scrypt(word, salt=found["salt"].encode(), n=n, r=r, p=p, maxmem=most, dklen=64)
    return base64.b64encode(made).decode() == found["hash"]


def _scrypt_memory(figures: Mapping[str, int]) -> int:
    return 128 * figures["r"] * (figures["n"] + figures["p"] + 2)


def _argon2(found: re.Match[str], word: bytes) -> bool:
    from argon2.exceptions import VerifyMismatchError
    from argon2.low_level import Type, verify_secret

    kinds = {"id": Type.ID, "i": Type.I, "d": Type.D}
    try:
        return verify_secret(found[0].removeprefix("argon2").encode(), word, kinds[found["variant"]])
    except VerifyMismatchError:
        return False


def _bcrypt(found: re.Match[str], word: bytes) -> bool:
    import bcrypt

    stored = found["data"].encode()
    # It has never looked at more than 72 bytes; its newest version refuses more.
    return bcrypt.hashpw(word[:72], stored) == stored


def _bcrypt_sha256(found: re.Match[str], word: bytes) -> bool:
    return _bcrypt(found, hashlib.sha256(word).hexdigest().encode())


def _nothing(_found: re.Match[str], _word: bytes) -> bool:
    raise NotImplementedError


_MODULES = {"argon2-cffi": "argon2.low_level", "bcrypt": "bcrypt"}
_ITERATIONS = r"\$(?P<iterations>[1-9][0-9]{0,9})\$([^$]+)\$"
_BCRYPT = r"\$(?P<data>\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53})"
FORMATS: Mapping[str, Format] = {
    "pbkdf2_sha256": Format(
        "PBKDF2 with SHA-256",
        re.compile(rf"pbkdf2_sha256{_ITERATIONS}([{_PLACE}]{{42}}{_END}=)"),
        _pbkdf2("sha256"),
        lambda figures: figures["iterations"] * 0.4e-6,
    ),
    "pbkdf2_sha1": Format(
        "PBKDF2 with SHA-1",
        re.compile(rf"pbkdf2_sha1{_ITERATIONS}([{_PLACE}]{{26}}{_END}=)"),
        _pbkdf2("sha1"),
        lambda figures: figures["iterations"] * 0.4e-6,
    ),
    "argon2": Format(
        "Argon2",
        re.compile(
            r"argon2\$argon2(?P<variant>id|i|d)(?:\$v=[0-9]{1,2})?"
            r"\$m=(?P<memory>[0-9]{1,10}),t=(?P<time>[0-9]{1,10}),p=(?P<lanes>[0-9]{1,8})"
            rf"\$[{_PLACE}]{{10,200}}\$[{_PLACE}]{{5,200}}"
        ),
        _argon2,
        lambda figures: figures["memory"] * 1024 * figures["time"] * 1.5e-9,
        lambda figures: figures["memory"] * 1024,
        package="argon2-cffi",
    ),
    "bcrypt_sha256": Format(
        "bcrypt of SHA-256",
        re.compile(rf"bcrypt_sha256{_BCRYPT}"),
        _bcrypt_sha256,
        lambda figures: 2.0 ** figures["cost"] * 80e-6,
        package="bcrypt",
    ),
    "bcrypt": Format(
        "bcrypt",
        re.compile(rf"bcrypt{_BCRYPT}"),
        _bcrypt,
        lambda figures: 2.0 ** figures["cost"] * 80e-6,
        package="bcrypt",
    ),
    "scrypt": Format(
        "scrypt",
        re.compile(
            r"scrypt\$(?P<n>[1-9][0-9]{0,9})\$(?P<salt>[^$]+)\$(?P<r>[1-9][0-9]{0,5})\$(?P<p>[1-9][0-9]{0,5})"
            rf"\$(?P<hash>[{_PLACE}]{{85}}[AQgw]==)"
        ),
        _scrypt,
        lambda figures: figures["n"] * figures["r"] * figures["p"] * 0.5e-6,
        _scrypt_memory,
    ),
    "md5": Format("MD5", re.compile(r"md5\$([^$]+)\$([0-9a-f]{32})"), _salted("md5"), weak=True),
    "sha1": Format("SHA-1", re.compile(r"sha1\$([^$]+)\$([0-9a-f]{40})"), _salted("sha1"), weak=True),
    "unsalted_md5": Format(
        "MD5 without a salt", re.compile(r"(?:md5\$\$)?([0-9a-f]{32})"), _unsalted("md5"), weak=True
    ),
    "unsalted_sha1": Format(
        "SHA-1 without a salt", re.compile(r"sha1\$\$([0-9a-f]{40})"), _unsalted("sha1"), weak=True
    ),
    "crypt": Format("crypt", re.compile(r"crypt\$[^$]*\$[./A-Za-z0-9]{13}"), _nothing, weak=True, package="-"),
}
"""Django's formats by Django's names of them, those of its earlier versions too."""
