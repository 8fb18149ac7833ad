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
        return (self.now().astimezone(UTC) - span).astimezone(self.zone)


def local_zone(name: str = "") -> tzinfo:
    """The named zone, or the zone of this machine.

    Args:
        name: An IANA name such as `Europe/Vienna`; empty for this machine's.

    Raises:
        CannotTell: If the name is no zone that this machine knows.
    """
    name = name or os.environ.get("TZ", "").lstrip(":") or _zone_of_this_machine()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CannotTell(
            f"{name!r} is no time zone that this machine knows",
            mend="Give the host's zone by its IANA name (host.zone in the target), such as Europe/Vienna.",
        ) from None


def _zone_of_this_machine() -> str:
    link = Path("/etc/localtime")
    if link.is_symlink():
        target = str(link.resolve())
        if "/zoneinfo/" in target:
            return target.split("/zoneinfo/", 1)[1].removeprefix("posix/").removeprefix("right/")
    timezone = Path("/etc/timezone")
    if timezone.is_file():
        return timezone.read_text(encoding="utf-8").strip() or "UTC"
    return "UTC"
