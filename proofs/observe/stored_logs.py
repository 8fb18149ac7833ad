"""Logs as the engine's json-file driver stores them, and the stream that the engine makes of them."""

from __future__ import annotations

import json
import re
import struct
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from observe.application_log import ErrorCount, ErrorCounter, records
from observe.container_log import Decoding, lines
from observe.json_file_log import Stored, _opened
from observe.skim import skimmed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from observe.application_log import Record
    from observe.container_log import LogLine, Skipped

PIECE = 16 * 1024
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
EVER = START - timedelta(days=1)
LATER = START + timedelta(days=30)
_ESCAPED = re.compile("[\x00-\x08\t\x0b\x0c\x0e-\x1f<>&\u2028\u2029]")


@dataclass(frozen=True)
class Piece:
    """What one entry holds: a line with its end, or a piece of a long one."""

    stream: str
    text: bytes
    at: float = 0.0  # seconds after START
    nanoseconds: int = 0

    @property
    def moment(self) -> datetime:
        return START + timedelta(seconds=self.at)

    @property
    def time(self) -> str:
        return f"{self.moment:%Y-%m-%dT%H:%M:%S.%f}{self.nanoseconds:03}Z"

    def entry(self) -> bytes:
        """As the engine's own encoder writes it."""
        text = json.dumps(self.text.decode("utf-8", "replace"), ensure_ascii=False)
        text = re.sub(
            r"(?<!\\)((?:\\\\)*)\\([tbf])", lambda one: one[1] + {"t": "\t", "b": "\b", "f": "\f"}[one[2]], text
        )
        text = _ESCAPED.sub(lambda one: f"\\u{ord(one[0]):04x}", text)
        time = re.sub(r"\.?0*Z", "Z", self.time)
        return f'{{"log":{text},"stream":"{self.stream}","time":"{time}"}}\n'.encode()

    def frame(self) -> bytes:
        """As the engine sends what it has read in the file."""
        payload = self.time.encode() + b" " + self.text.decode("utf-8", "replace").encode()
        return struct.pack(">BxxxI", 2 if self.stream == "stderr" else 1, len(payload)) + payload


def pieces(stream: str, line: bytes, at: float = 0.0, nanoseconds: int = 0) -> list[Piece]:
    """A line of a container, in as many entries as the engine makes of it."""
    whole = line + b"\n"
    return [Piece(stream, whole[i : i + PIECE], at, nanoseconds) for i in range(0, len(whole), PIECE)]


def stream_of(written: Iterable[Piece], since: datetime = EVER, until: datetime = LATER) -> bytes:
    """What the engine sends: it ends at the first entry that is too late, though an earlier one may follow."""
    in_time = takewhile(lambda one: one.moment <= until, written)
    return b"".join(one.frame() for one in in_time if since <= one.moment)


def stored_in(*paths: Path) -> Stored:
    stack = ExitStack()
    return Stored([_opened(stack, path) for path in paths], _stack=stack)


@dataclass
class Findings:
    """What must be the same however a log is read."""

    lines: int
    first_at: datetime | None
    cut_lines: int
    important: list[Record]
    count: ErrorCount
    recognised: bool


def findings(read: Iterable[LogLine | Skipped], decoding: Decoding, since: datetime = EVER) -> Findings:
    counter = ErrorCounter(client_errors=[re.compile("Authentication")], since=since)
    important = []
    for record in records(read):
        counter.take(record)
        counts = record.level in ("WARNING", "ERROR", "CRITICAL") or record.kind == "traceback" or record.exception
        if counts and (record.at is None or record.at >= since):
            important.append(record)
    count = counter.result()
    levels = {level: number for level, number in count.by_level.items() if level not in ("DEBUG", "INFO")}
    alike = replace(count, by_level=levels, lines=0, records=0, requests=0)
    recognised = bool(count.by_level or count.requests)
    return Findings(decoding.lines, decoding.first_at, decoding.cut_lines, important, alike, recognised)


def by_reference(written: Iterable[Piece], since: datetime = EVER) -> Findings:
    decoding = Decoding()
    return findings(lines([stream_of(written, since)], tty=False, decoding=decoding), decoding, since)


def by_skimming_frames(written: Iterable[Piece], since: datetime = EVER) -> Findings:
    decoding = Decoding()
    return findings(skimmed([stream_of(written, since)], decoding, since), decoding, since)
