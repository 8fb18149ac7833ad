"""A target file in the making: every setting with its reason, what is left open as a question; and its text."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from report.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WIDTH = 116
_LONGEST = 2000
TABLES = (
    *("", "project", "services", "engine", "host", "site", "certificate", "database", "backups", "offsite"),
    *("application", "dependencies", "logs"),
)
"""The tables in the order in which they are written."""
Value = bool | int | str | list[str] | dict[str, int]


@dataclass(frozen=True)
class Entry:
    """One setting.

    Attributes:
        name: Its dotted name.
        value: What was found; of an open one an example, or its default.
        why: The reason, or the question.
        state: `found`; `open`, which is a question; `must`, a question about what can't be left out; or
            `default`, which is only mentioned.
    """

    name: str
    value: Value
    why: str
    state: str

    @property
    def table(self) -> str:
        """The table that it stands in; empty for the first."""
        return self.name.rpartition(".")[0]

    @property
    def line(self) -> str:
        """The line of the file, without its comment."""
        key = f"{self.name.rpartition('.')[2]} = {toml(self.value)}"
        return key if self.state in {"found", "must"} else f"# {key}"


@dataclass
class Draft:
    """What was found so far.

    Attributes:
        entries: The settings.
        looked: What was looked at, in sentences.
        unseen: What couldn't be, and why.
        steps: What is left to do, each with the commands for it.
    """

    entries: list[Entry] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    steps: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def found(self, name: str, value: Value, why: str) -> None:
        """A setting that is known, and why."""
        self.entries.append(Entry(name, value, why, "found"))

    def ask(self, name: str, example: Value, question: str) -> None:
        """A setting that only a person can know."""
        self.entries.append(Entry(name, example, question, "open"))

    def must(self, name: str, likely: Value, question: str) -> None:
        """A setting that only a person can know, and that can't be left out: what is likeliest stands in it."""
        self.entries.append(Entry(name, likely, question, "must"))

    def mention(self, name: str, default: Value, why: str) -> None:
        """A setting that can stay as it is by default, and why it is said nevertheless."""
        self.entries.append(Entry(name, default, why, "default"))

    @property
    def questions(self) -> list[Entry]:
        """The settings that were left open."""
        return [one for one in self.entries if one.state in {"open", "must"}]

    @property
    def settings(self) -> list[Entry]:
        """Those that were found."""
        return [one for one in self.entries if one.state == "found"]

    def text(self, head: str) -> str:
        """The file's text.

        Args:
            head: Its first line: what it is of, by whom and when.
        """
        lines = [*_comment(head)]
        lines += _listed("Looked at:", self.looked) + _listed("Not seen:", self.unseen)
        lines += ["#", "# What is left to do:"]
        for number, (words, commands) in enumerate(self.steps, 1):
            lines += _comment(f"{number}. {words}", "   ", "      ")
            lines += [f"#          {plain(one)}" for one in commands]
        lines += ["#"]
        lines += _comment('Every guess has its reason beside it; a question begins with "# ?". The rest are defaults, ')
        lines += _comment("which target.example.toml lists. Secrets don't belong here: give files, or OPS_… variables.")
        for table in TABLES:
            of_it = [one for one in self.entries if one.table == table]
            if not of_it:
                continue
            lines += ["", *([f"[{table}]"] if table else [])]
            for one in of_it:
                lines += _written(one)
        return "\n".join(lines) + "\n"


def _written(one: Entry) -> list[str]:
    why = plain(one.why, _LONGEST)
    beside = f"{one.line}   # {why}"
    asked = one.state in {"open", "must"}
    if not asked and len(beside) <= WIDTH:
        return [beside]
    return [*_comment(("? " if asked else "") + why), one.line]


def _listed(title: str, sentences: Iterable[str]) -> list[str]:
    lines = [line for one in sentences for line in _comment(one, "   ", "     ")]
    return [f"# {title}", *lines] if lines else []


def _comment(text: str, first: str = "", rest: str = "") -> list[str]:
    wrapped = textwrap.wrap(
        plain(text, _LONGEST),
        WIDTH - 2,
        initial_indent=first,
        subsequent_indent=rest or first,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [f"# {line}" for line in wrapped]


def toml(value: Value) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(name)} = {one}' for name, one in value.items())} }}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if "'" not in value and ('"' in value or "\\" in value) and value.isprintable():
        return f"'{value}'"
    return '"' + "".join(_escaped(one) for one in value) + '"'


def _key(name: str) -> str:
    bare = name.replace("-", "").replace("_", "")
    return name if bare.isascii() and bare.isalnum() else toml(name)


def _escaped(one: str) -> str:
    if one in {'"', "\\"}:
        return f"\\{one}"
    return one if one.isprintable() else f"\\u{ord(one):04x}" if ord(one) < 0x10000 else f"\\U{ord(one):08x}"


def difference(draft: Draft, there: Mapping[str, object], now: Mapping[str, object], own: Sequence[str]) -> list[str]:
    """How a file that is there differs from what was found, in lines for the reader; empty where it doesn't.

    Args:
        draft: What was found.
        there: Dotted name to what the file means by each setting that was found, its default included.
        now: Likewise, what was found means.
        own: The settings that the file has and that aren't found here, by name.
    """
    lines: list[str] = []
    for one in draft.settings:
        if there.get(one.name) != now.get(one.name):
            lines += [
                one.name,
                f"    in the file   {plain(shown(there.get(one.name)))}",
                f"    found now     {plain(toml(one.value))}   {plain(one.why)}",
            ]
    if lines and own:
        lines += ["", *textwrap.wrap(f"Yours, and not looked for: {', '.join(own)}", WIDTH, subsequent_indent="    ")]
    return lines


def shown(value: object) -> str:
    """A setting of the model as a file would have it."""
    if isinstance(value, bool | int):
        return toml(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {shown(one)}' for name, one in value.items())} }}" if value else "{}"
    return "(not set)" if value is None else toml(str(value))
