"""The only place that asks what time it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from observe.errors import CannotTell


@dataclass(frozen=True)
class Clock:
    """What time it is, for the whole run.

    Attributes:
        zone: The host's time zone: days are days of this zone.
        fixed: The time that was given with `--now`, or None for the real one.
    """

    zone: tzinfo
    fixed: datetime | None = None

    def now(self) -> datetime:
        """The time, aware, in the host's zone."""
        now = self.fixed if self.fixed is not None else datetime.now(UTC)
        return now.astimezone(self.zone)

    def ago(self, span: timedelta) -> datetime:
        """The time that long ago, reckoned in elapsed time across a change of clocks."""
        return self.window(span)[0]

    def window(self, span: timedelta) -> tuple[datetime, datetime]:
        """The last so much time: its beginning and its end, which is now. It is exactly so long."""
        now = self.now()
        return (now.astimezone(UTC) - span).astimezone(self.zone), now


def seconds_here() -> float:
    """What this machine's own clock says, in seconds since the epoch, to hold another machine's against it."""
    return datetime.now(UTC).timestamp()


def until_now(at: datetime) -> datetime:
    """That moment, or the present one when it lies in the future (`--now`): nothing has happened after that."""
    return min(at, datetime.now(UTC))


def local_zone(name: str = "") -> tzinfo:
    """The named zone, or the zone of this machine.

    Args:
        name: An IANA name such as `Europe/Vienna`; empty for this machine's.

    Raises:
        CannotTell: If the name is no zone that this machine knows.
    """
    name = name or os.environ.get("TZ", "").lstrip(":")
    try:
        return named_zone(name) if name else zone_of_machine()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CannotTell(
            f"{name or '/etc/localtime'!r} is no time zone that this machine knows",
            mend="Give the host's zone by its IANA name (host.zone in the target), such as Europe/Vienna.",
        ) from None


def named_zone(name: str) -> tzinfo:
    """The zone of that name, or of that file: `TZ` may hold either.

    Raises:
        ZoneInfoNotFoundError: If there is none; ValueError or OSError likewise.
    """
    if name == "UTC":
        return UTC  # a machine without zone files knows this one as well
    if not name.startswith("/"):
        return ZoneInfo(name)
    _, _, inside = str(Path(name).resolve()).partition("/zoneinfo/")
    if inside:
        return named_zone(inside.removeprefix("posix/").removeprefix("right/"))
    with Path(name).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def zone_of_machine(etc: Path = Path("/etc")) -> tzinfo:
    """The zone that the C library takes from `localtime`; without that file it takes UTC.

    Raises:
        OSError: If the file can't be read; ValueError if it is no file of a zone.
    """
    localtime = etc / "localtime"
    return named_zone(str(localtime.absolute())) if localtime.exists() else UTC
