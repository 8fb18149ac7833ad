"""How long it takes to have everything back: the restore drill by its own clock.

Serves the guide's quarterly "Test disaster recovery": restore, verify, time it. The time is that of the drill from its
first look at the dump to the last comparison, server included; nothing is added for a machine that would have to be
had first, and nothing is taken off for the container's limits. A backup that can't be restored or verified is back
in no time at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from target.kinds import say_span

if TYPE_CHECKING:
    from observe.restore.drill import Receipt


@dataclass(frozen=True)
class Recovery:
    """What a restore drill says about a disaster.

    Attributes:
        name: The backup's file.
        looked_at: The denominator, in words.
        said: What was seen, in words.
        took: How long the drill took.
        restored: Whether the backup was restored without an error.
        differences: How many differences from the live database there are; 0 where nothing could be compared.
        receipt: The drill's receipt for the report.
    """

    name: str
    looked_at: str
    said: str
    took: timedelta
    restored: bool
    differences: int
    receipt: tuple[dict[str, str], ...]

    def within(self, most: timedelta) -> bool:
        """Whether all was back, and verified, in less."""
        return self.restored and not self.differences and self.took < most


def recovery(receipt: Receipt) -> Recovery:
    """Read a drill's receipt as the answer to how long recovery takes.

    Args:
        receipt: Of the newest backup.

    Raises:
        CannotTell: If the backup was restored, and the live database couldn't be asked what it is like.
        NoAnswer: If the live database doesn't answer.
    """
    took = timedelta(seconds=receipt.whole_seconds)
    after = say_span(took)
    looked_at, differences = receipt.looked_at, 0
    if not receipt.proven:
        said = f"not restored without an error after {after}: {receipt.said}"
    else:
        compared = receipt.comparison
        compared.must_see()
        differences = len(compared.differences) + compared.more
        looked_at = f"{looked_at}, held against the live one: {compared.looked_at}"
        number = f"{differences} {'difference' if differences == 1 else 'differences'} from the live database"
        said = f"restored, with {number}, after {after}" if differences else f"restored and verified in {after}"
    return Recovery(
        name=receipt.loaded.name,
        looked_at=looked_at,
        said=said,
        took=took,
        restored=receipt.proven,
        differences=differences,
        receipt=tuple(receipt.rows()),
    )
