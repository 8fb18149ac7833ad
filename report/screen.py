"""The terminal that a run is told on: what it can show, and writing whole lines to it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from report import terminal
from report.progress import Live

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest


class Screen:
    """What pytest's terminal reporter writes to.

    Each property is asked anew: the reporter comes later than the plugins that use this, and a window may change.

    Args:
        config: The run's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def say(self, lines: Iterable[str]) -> None:
        """Write whole lines, in the characters that there are."""
        reporter = self._reporter
        for line in lines:
            reporter.write_line(terminal.writable(line, self._encoding))
        reporter.flush()

    def live(self) -> Live | None:
        """A line that says what goes on; None where nobody would see it move, or tests write there themselves."""
        moves = self._reporter.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        if not moves or self._config.getoption("capture") == "no":
            return None
        return Live(self._file.fileno(), self._encoding)

    @property
    def colour(self) -> bool:
        """Whether it is coloured."""
        return bool(self._reporter.hasmarkup)

    @property
    def width(self) -> int:
        """Its columns."""
        return shutil.get_terminal_size().columns

    @property
    def signs(self) -> bool:
        """Whether it can show the signs of the outcomes."""
        return terminal.has_signs(self._encoding)

    @property
    def _encoding(self) -> str:
        return getattr(self._file, "encoding", None) or "utf-8"

    @property
    def _file(self) -> Any:  # noqa: ANN401  pytest's own isn't public in every detail
        return self._reporter._tw._file  # noqa: SLF001  what the reporter itself writes to

    @property
    def _reporter(self) -> Any:  # noqa: ANN401  as above
        return self._config.pluginmanager.getplugin("terminalreporter")
