"""Which expectations there are, read from the tests without importing them: an unknown slug is refused at once."""

from __future__ import annotations

import ast
import difflib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from records.tables import RecordError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("tests_daily", "tests_weekly", "tests_monthly", "tests_security")
PERIODS = ("attested_month", "attested_quarter", "attested_year")
"""The limits that say for how long an attestation holds; who names one of them is attested."""
_NAME = re.compile(r"(?P<slug>[^\[\]]*)(?:\[(?P<item>.+)\])?", re.DOTALL)


@dataclass(frozen=True)
class Known:
    """One expectation as its test declares it.

    Attributes:
        slug: Its identity.
        severity: How bad it is when it is broken.
        parametrized: Whether it looks at several like things, its items.
        limits: The names of its limits.
        guide: Its place in the guide, as its test tells it.
        marks: The names of its markers, its file's first: the cadences are among them.
        arguments: What its test asks for.
    """

    slug: str
    severity: str
    parametrized: bool
    limits: tuple[str, ...]
    guide: str = field(default="", compare=False)
    marks: tuple[str, ...] = field(default=(), compare=False)
    arguments: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def period(self) -> str:
        """The limit that says how long an attestation of it holds; empty for what isn't attested."""
        return next((name for name in self.limits if name in PERIODS), "")


@dataclass(frozen=True)
class Slugs:
    """All expectations by their slugs."""

    known: Mapping[str, Known]

    def __contains__(self, slug: object) -> bool:
        return slug in self.known

    @property
    def attested(self) -> dict[str, str]:
        """The slugs that somebody must attest, each with the name of the limit that is its period."""
        return {slug: one.period for slug, one in sorted(self.known.items()) if one.period}

    def trouble(self, slug: str) -> str:
        """What is wrong with a slug, for the end of a sentence; empty when it is known."""
        if slug in self.known:
            return ""
        close = difflib.get_close_matches(slug[:100], self.known, n=1, cutoff=0.5)
        perhaps = f" (did you mean {close[0]}?)" if close else ""
        return f"there is no expectation {shown(slug)!r}{perhaps}"

    def trouble_with(self, name: str) -> str:
        """The same for a slug that may have an item, as in `disk-space[root]`."""
        slug, item = split(name)
        if trouble := self.trouble(slug):
            return trouble
        if item and not self.known[slug].parametrized:
            return f"{slug} has no items: write it without [{shown(item)}]"
        return ""


def split(name: str) -> tuple[str, str]:
    """Slug and item of `disk-space[root]`; the item is empty where there is none."""
    match = _NAME.fullmatch(name)
    return (match["slug"], match["item"] or "") if match else (name, "")


def read_slugs(root: Path = ROOT) -> Slugs:
    """Read the slugs of all expectations from the test files.

    Args:
        root: The project's root.

    Raises:
        RecordError: If a test file can't be read, or a slug isn't written out in it.
    """
    several = _parameters(root / "fixtures" / "parameters.py")
    known: dict[str, Known] = {}
    for room in ROOMS:
        for file in sorted((root / room).rglob("test_*.py")):
            for one in _of_file(file, several):
                known[one.slug] = one
    return Slugs(known)


def _of_file(file: Path, several: frozenset[str]) -> Iterator[Known]:
    marks: list[str] = []
    for function in _parsed(file).body:
        if isinstance(function, ast.Assign) and getattr(function.targets[0], "id", "") == "pytestmark":
            marks = list(_marks([function.value]))
        if not isinstance(function, ast.FunctionDef):
            continue
        calls = [one for one in function.decorator_list if isinstance(one, ast.Call)]
        parametrized = any(isinstance(one.func, ast.Attribute) and one.func.attr == "parametrize" for one in calls)
        arguments = {one.arg for one in (*function.args.args, *function.args.kwonlyargs)}
        for call in calls:
            if isinstance(call.func, ast.Name) and call.func.id == "expectation":
                known = _known(file, call, parametrized or not arguments.isdisjoint(several))
                own = _marks(function.decorator_list)
                yield replace(known, marks=tuple(dict.fromkeys((*marks, *own))), arguments=frozenset(arguments))


def _marks(nodes: Iterable[ast.expr]) -> Iterator[str]:
    """The names of `pytest.mark.…` in decorators, or in a file's `pytestmark`."""
    for node in nodes:
        if isinstance(node, ast.List | ast.Tuple):
            yield from _marks(node.elts)
            continue
        mark = node.func if isinstance(node, ast.Call) else node
        if isinstance(mark, ast.Attribute) and getattr(mark.value, "attr", "") == "mark":
            yield mark.attr


def _known(file: Path, call: ast.Call, parametrized: bool) -> Known:
    named = {one.arg: one.value for one in call.keywords if one.arg}
    try:
        slug = ast.literal_eval(call.args[0] if call.args else named["slug"])
        severity, limits = ast.literal_eval(named["severity"]), ast.literal_eval(named.get("limits", ast.Tuple([])))
        guide = ast.literal_eval(named.get("guide", ast.Constant("")))
    except (KeyError, ValueError):
        raise RecordError(
            f"{file}:{call.lineno}: slug, guide, severity and limits of an expectation are written out, "
            "so that they can be read without importing the test."
        ) from None
    return Known(str(slug), str(severity), parametrized, tuple(limits), str(guide))


def _parameters(file: Path) -> frozenset[str]:
    """The arguments that give a test its items, which `pytest_generate_tests` has in a set of texts."""
    if not file.exists():
        return frozenset()
    for one in ast.walk(_parsed(file)):
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Set):
            targets = [target.id for target in one.targets if isinstance(target, ast.Name)]
            if targets == ["names"]:
                return frozenset(ast.literal_eval(one.value))
    return frozenset()


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes(), str(file))
    except SyntaxError as error:
        raise RecordError(f"{file}:{error.lineno}: it is no Python: {error.msg}.") from None
    except (OSError, ValueError) as error:
        raise RecordError(f"{file}: it can't be read: {error}.") from None
