"""Target files derived from a lab's own, for faults that lie in where the checks are pointed at."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.certificates import write_private
from lab.faults.fault import FaultDidNotTake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.stack import Lab


@contextmanager
def derived(lab: Lab, *tables: str, **changes: str) -> Iterator[Path]:
    """A copy of the lab's target file with some keys' values changed, gone afterwards.

    Args:
        lab: whose target file.
        tables: tables as TOML, one each; the keys of one that it has already are added to it.
        changes: key and new value, as text without quotation marks.

    Raises:
        FaultDidNotTake: the file has no such key.
    """
    text = lab.target_file.read_text()
    for key, value in changes.items():
        text, count = re.subn(rf'^({key} = )"[^"]*"', rf'\1"{value}"', text, flags=re.MULTILINE)
        if not count:
            raise FaultDidNotTake(f"{lab.target_file} has no {key}")
    for table in tables:
        text = with_table(text, table)
    with tempfile.TemporaryDirectory(prefix=f"{lab.name}-target-") as directory:
        path = Path(directory) / "target.toml"
        write_private(path, text.encode())
        yield path


def with_table(text: str, table: str) -> str:
    """The text with that table; TOML has none twice."""
    header, _, keys = table.partition("\n")
    if f"\n{header}\n" in text:
        return text.replace(f"\n{header}\n", f"\n{header}\n{keys.rstrip()}\n", 1)
    return f"{text}\n{table}"
