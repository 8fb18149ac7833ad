r"""What a request target means once the disguises are taken off it.

Serves the guide's `grep -E` for exploit paths, which finds `/wp-login.php` and not `/%77p-login%2ephp`, `//WP-Admin/`
or `/a/..%2f.env`. A target is held against the patterns in every form that it goes through on the way to its plainest
one, so that whatever matches as it stands does so still.
"""

from __future__ import annotations

import re
import unicodedata

ROUNDS = 3
"""How often a target is decoded over again. `%25` before an escape costs no round, however often it is repeated."""

_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#\\]*")
_LIKE_A_TARGET = re.compile(r"(?:^|\s)((?:/|[A-Za-z]{2,10}://)[^\x00-\x1f\x7f]*)")
_UNUSUAL = re.compile(r"[^ -$&-\[\]-~]|//|/\.{1,2}(?:[/?#]|$)")  # % and \ are outside of the ranges
_PERCENT_OF_PERCENT = re.compile(r"%(?:25)+(?=[0-9A-Fa-f]{2})")
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2})+")
_WIDE_ESCAPE = re.compile(r"%u([0-9A-Fa-f]{4})", re.IGNORECASE)
_OVERLONG = re.compile(
    rb"[\xc0\xc1]([\x80-\xbf])|\xe0[\x80-\x81]([\x80-\xbf])|\xf0\x80[\x80-\x81]([\x80-\xbf])", re.DOTALL
)
_PATHS_END = re.compile(r"[?#]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def asked_for(method: str, target: str, request: str) -> str:
    """Path and query of a request, without the address of an absolute one; empty when it asks for none.

    Args:
        method: As the log's reader found it; empty when the request was none.
        target: Likewise.
        request: The whole request line. One that was no request is searched for something like a target, so that
            a method that nobody knows is no hiding place, while the bytes of a TLS handshake ask for nothing.
    """
    if not method:
        found = _LIKE_A_TARGET.search(request)
        target = found[1].rpartition(" HTTP/")[0] or found[1] if found else ""
    elif method == "CONNECT":
        return ""  # host and port
    address = _AUTHORITY.match(target)
    return target[address.end() :] or "/" if address else target


def forms(target: str) -> tuple[str, ...]:
    """A target in lower case, as it stands, after each round of decoding, and in its plainest form, which is the last.

    In the plainest form backslashes are slashes, repeated slashes are one, and dot segments are resolved. A target
    that is plain already has one form. Never raises.
    """
    lowered = target.lower()
    if _UNUSUAL.search(lowered) is None:
        return (lowered,)
    found = [lowered]
    for _ in range(ROUNDS):
        decoded = _decoded(target)
        if decoded == target:
            break
        target = decoded
        found.append(_folded(target))
    found.append(_resolved(_folded(target)))
    return tuple(dict.fromkeys(found))


def path_of(form: str) -> str:
    """The path of a form, without query and fragment."""
    return _parts(form)[0]


def below(path: str, directory: str) -> bool:
    """Whether a path in its plainest form is that directory, or below it.

    Args:
        path: From :func:`path_of` of a target's last form.
        directory: Likewise, such as `/admin/`.
    """
    directory = directory.rstrip("/")
    return path == directory or path.startswith(directory + "/")


def _decoded(target: str) -> str:
    r"""One round: `%77`, `%2577`, `\x77`, `%u0077`."""
    if "%" not in target and "\\x" not in target:
        return target
    target = _PERCENT_OF_PERCENT.sub("%", target)
    target = _WIDE_ESCAPE.sub(lambda found: chr(int(found[1], 16)), target)
    return _ESCAPES.sub(_bytes_as_text, target)


def _bytes_as_text(found: re.Match[str]) -> str:
    if len(found[0]) == 3:
        return chr(int(found[0][1:], 16))
    raw = bytes.fromhex(found[0].replace("%", "").replace("\\x", ""))
    # An overlong form of an ASCII character is refused by what decodes well, and taken by what is broken into.
    raw = _OVERLONG.sub(_overlong, raw)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _overlong(found: re.Match[bytes]) -> bytes:
    *_, before, last = found[0]
    return bytes((((before & 0x01) << 6) | (last & 0x3F),))


def _folded(target: str) -> str:
    """In lower case, without control characters, full-width letters as plain ones."""
    target = _CONTROL.sub("", target)
    return (target if target.isascii() else unicodedata.normalize("NFKC", target)).lower()


def _resolved(target: str) -> str:
    """Backslashes as slashes, repeated ones as one, without dot segments; path and query each by itself."""
    path, mark, query = _parts(target.replace("\\", "/"))
    return _without_dots(path) + mark + _without_dots(query)


def _without_dots(text: str) -> str:
    first, *segments = text.split("/")
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    ends_in_slash = segments and segments[-1] in {"", ".", ".."}
    return "/".join((first, *kept, *([""] if ends_in_slash else [])))


def _parts(form: str) -> tuple[str, str, str]:
    """Path, the mark behind it, and what follows that."""
    mark = _PATHS_END.search(form)
    return (form[: mark.start()], mark[0], form[mark.end() :]) if mark else (form, "", "")
