"""What another limit would have said: read as a limit is, counted right, and judged as the expectations judge."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.chronicle import Point
from report.what_if import Answer, WhatIf, answers, parse, section, sentences
from target.limits import AT_LEAST, STRICT, meets
from target.model import Limits

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 27, 4, tzinfo=UTC)


def nights(*figures: float, limit: float = 0.8, name: str = "disk_used", item: str = "root") -> list[Point]:
    """A figure of each night up to now."""
    return [
        Point(NOW - timedelta(days=ago), "disk-space", item, "used", figure, "share", limit, f"limits.{name}")
        for ago, figure in enumerate(reversed(figures))
    ]


def asked(text: str, points: list[Point]) -> Answer:
    (answer,) = answers(parse([text]), points)
    return answer


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("limits.disk_used=0.7", "disk_used", 0.7),
        ("limits.disk_used = 70 %", "disk_used", 0.7),
        ('limits.disk_used="70 %"', "disk_used", 0.7),
        ("disk_used=1", "disk_used", 1.0),
        ("limits.backup_age=20 h", "backup_age", 72000.0),
        ("limits.backup_size_min=60 MiB", "backup_size_min", 60 * 1024.0**2),
        ("limits.backend_errors=12", "backend_errors", 12.0),
    ],
)
def test_a_value_is_read_as_in_a_target_file(text: str, name: str, value: float) -> None:
    (one,) = parse([text])
    assert one.name == f"limits.{name}"
    assert one.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("limits.disk_usd=0.7", "there is no limit limits.disk_usd; did you mean limits.disk_used or"),
        ("limits.disk_used", "write a limit and its value, as limits.disk_used=0.7"),
        ("limits.disk_used=", "write a limit and its value"),
        ("limits.disk_used=7", r"a share lies between 0 and 1 \(0.8\), or is a percentage in quotes"),
        ("limits.backup_age=3", "a span of time is written with its unit"),
        ("limits.backend_errors=1.5", "a count is a whole number"),
        ("limits.backup_days=99", "expected `int` <= 60, not 99"),
        ("limits.anomaly_factor=nan", "a factor is a number above 0"),
        ("limits.npm_severity=high", "no figure can be held against limits.npm_severity"),
        ("limits.disk_used=0.7\ndisk=1", "a share lies between"),
        ("limits.disk_used=" + "[" * 5000, "a share lies between"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as wrong:
        parse(["limits.disk_used=0.7", text])
    assert "\n" not in str(wrong.value)


@given(
    st.text(max_size=60), st.sampled_from(["", "limits.disk_used=", "limits.backup_age=", "limits.backup_size_min="])
)
def test_whatever_is_asked_is_read_or_refused(text: str, before: str) -> None:
    try:
        parse([before + text])
    except ValueError as wrong:
        assert str(wrong).startswith("--what-if")  # noqa: PT017  most are refused, some are read


def test_every_look_is_held_against_both_limits() -> None:
    (one,) = asked("limits.disk_used=0.7", nights(0.6, 0.7, 0.75, 0.85, 0.6, 0.71)).held
    assert (one.looks, one.was_beyond, one.would_be_beyond) == (6, 1, 4)
    assert (one.first, one.last) == (NOW - timedelta(days=4), NOW)
    assert [NOW - at for at in one.worse] == [timedelta(days=days) for days in (4, 3, 0)]
    assert one.better == ()
    assert one.longest is not None
    assert (one.longest.until - one.longest.since, one.longest.looks) == (timedelta(days=2), 3)


def test_it_is_said_in_sentences() -> None:
    assert sentences([asked("limits.disk_used=0.7", nights(0.6, 0.7, 0.75, 0.85, 0.6, 0.71))], UTC) == [
        "What if limits.disk_used were 70 % (less than that is wanted), 1 figure:",
        (
            "disk-space [root]: used: of 6 looks (2026-11-22 to 2026-11-27, 60 % to 85 %) this figure would have been "
            "beyond 70 % in 4, with the limit as it was in 1; that is first on 2026-11-23, last on 2026-11-27; the "
            "longest for 48 h (3 looks in a row); would no longer have held: 2026-11-23 to 2026-11-24, 2026-11-27."
        ),
    ]


def test_a_looser_limit_would_have_held() -> None:
    (one,) = asked("limits.disk_used=0.9", nights(0.85, 0.95, 0.85)).held
    assert (one.was_beyond, one.would_be_beyond) == (3, 1)
    assert one.better == (NOW - timedelta(days=2), NOW)


def test_a_limit_that_was_changed_is_held_as_it_was() -> None:
    points = nights(0.75, limit=0.7)[:1] + [one._replace(at=NOW + timedelta(days=1)) for one in nights(0.75)]
    (one,) = asked("limits.disk_used=0.72", points).held
    assert (one.was_beyond, one.worse) == (1, (NOW + timedelta(days=1),))


def test_what_must_not_be_below_is_beyond_when_it_is_less() -> None:
    (one,) = asked("limits.cache_hits=90 %", nights(0.85, 0.9, 0.95, name="cache_hits")).held
    assert one.worse == (NOW - timedelta(days=2),)


def test_where_nothing_is_held_against_it_those_are_named_that_have_figures() -> None:
    (sentence,) = sentences([asked("limits.inodes_used=0.7", nights(0.6))], UTC)
    assert sentence.endswith(
        "nothing measured is held against limits.inodes_used; these have figures: limits.disk_used."
    )
    assert sentences([asked("limits.inodes_used=0.7", [])], UTC)[0].endswith("no limit has figures yet.")


def test_lists_are_bounded() -> None:
    many = [one for item in range(50) for one in nights(*[0.6, 0.75] * 200, item=f"d{item}")]
    said = sentences([asked("limits.disk_used=0.7", many)], UTC)
    assert said[-1] == "And 30 more figures."
    assert len(said) == 22
    assert "and 190 times before" in said[1]
    assert max(map(len, said)) < 600


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x>', "a\nb", "\x1b[31mred"])
def test_no_text_gets_out_of_its_place(evil: str) -> None:
    page = section([asked("limits.disk_used=0.7", nights(0.6, 0.75, item=evil))], UTC)
    assert not {one.tag for one in ET.fromstring(page).iter()} & {"script", "img"}  # noqa: S314  our own
    assert "\n" not in page
    assert "\x1b" not in page
    assert section([], UTC) == ""


@given(st.floats(allow_nan=False, allow_infinity=False), st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_whatever_was_measured_it_is_said(value: float, figures: list[float]) -> None:
    found = answers([WhatIf("limits.disk_used", value, "x")], nights(*figures))
    assert all("\n" not in one for one in sentences(found, UTC))
    ET.fromstring(section(found, UTC))  # noqa: S314  our own


# Which way a limit is held must be what the expectations do: it is read off their own comparisons.

ELSEWHERE = {
    "backups_share": ("observe/archive.py", "self.share > self.most"),
    "cache_hits": ("observe/cache.py", "self.share >= share"),
    "client_deviation": ("observe/access_anomalies.py", "one.deviation > deviation"),
    "data_retention": ("observe/retention.py", "self.oldest >= self.bound"),
    "dead_rows": ("observe/vacuum.py", "one.dead_share > self.wanted.dead"),
    "disaster_recovery": ("observe/restore/recovery.py", "self.took < most"),
    "docker_reclaimable": ("tests_monthly/test_readiness.py", "seen.size < most"),
    "idle_connection": ("observe/sessions.py", "one.since > longest"),
    "login_refusals": ("observe/brute_force.py", "one.most > most"),
    "recovery_time": ("observe/drills/recovery.py", "self.seconds <= self.limit"),
    "restart_time": ("observe/drills/restart.py", "took > self.limit"),
    "restore_age": ("observe/restore/recent.py", "self.before <= age"),
    "scale_cpu": ("observe/scaling.py", "seen.share > limit"),
    "scale_disk": ("observe/scaling.py", "judged[full] > limit"),
    "scale_errors": ("observe/scaling.py", "rate.share > limit"),
    "scale_response": ("observe/scaling.py", "times.p95 > limit"),
    "scale_users": ("observe/scaling.py", "active > limit"),
    "transaction_age": ("observe/vacuum.py", "oldest.share >= self.wanted.transactions"),
    "user_share": ("observe/usage.py", "self.top_share > share"),
}
"""Where the figure of a limit is compared, if not in the expectation's own assert, and how."""
BEYOND = {one for one in ELSEWHERE if "> " in ELSEWHERE[one][1]} | {"transaction_age"}
"""Of those, the ones whose comparison finds what is beyond the limit."""
TURNED = {ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Lt: ast.Gt, ast.LtE: ast.GtE}
OPERATORS = {(False, False): ast.LtE, (False, True): ast.Lt, (True, False): ast.GtE, (True, True): ast.Gt}


def limit_of(node: ast.expr, known: dict[str, str]) -> str:
    """The limit that an expression is, as `limits.disk_used`, `most` or `most.value`; empty for anything else."""
    if isinstance(node, ast.Attribute) and node.attr == "value":
        node = node.value
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "limits":
        return node.attr
    return known.get(node.id, "") if isinstance(node, ast.Name) else ""


def names_in(test: ast.FunctionDef) -> dict[str, str]:
    """The names of a test that stand for limits: `low, high = limits.a, limits.b`."""
    known: dict[str, str] = {}
    for node in ast.walk(test):
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = value.elts if isinstance(value, ast.Tuple) else [value]
            pairs = zip(names, values, strict=False)
            known |= {name.id: limit_of(one, {}) for name, one in pairs if isinstance(name, ast.Name)}
    return known


def held_and_compared() -> tuple[set[str], dict[str, set[type[ast.cmpop]]]]:
    """The limits that figures are recorded with, and how the same tests compare to them."""
    held: set[str] = set()
    compared: dict[str, set[type[ast.cmpop]]] = {}
    files = [ast.parse(file.read_text()).body for file in sorted(ROOT.glob("tests_*/test_*.py"))]
    for test in [one for body in files for one in body if isinstance(one, ast.FunctionDef)]:
        known = names_in(test)
        for node in ast.walk(test):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "figure":
                held |= {limit_of(one, known) for one in node.args[3:]}
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
                    compared.setdefault(limit_of(right, known), set()).add(type(operator))
                    compared.setdefault(limit_of(left, known), set()).add(TURNED.get(type(operator), type(operator)))
    return held - {""}, compared


def test_limits_are_held_the_way_the_expectations_hold_them() -> None:
    held, compared = held_and_compared()
    assert len(held) > 25
    for name in held:
        wanted = OPERATORS[name in AT_LEAST, name in STRICT]
        if name in ELSEWHERE:
            continue
        assert compared.get(name) == {wanted}, name
    for name in (AT_LEAST | STRICT) - held:
        assert name in {"backup_steady_low", "growth_left"}, f"nothing measured is held against {name}"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_so_do_comparisons_that_stand_elsewhere(name: str) -> None:
    file, comparison = ELSEWHERE[name]
    assert comparison in (ROOT / file).read_text()
    (operator,) = ast.parse(comparison, mode="eval").body.ops  # type: ignore[attr-defined]
    wanted = OPERATORS[name in AT_LEAST, name in STRICT]
    if name in BEYOND:
        wanted = {ast.LtE: ast.Gt, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE}[wanted]
    if name == "data_retention":
        wanted = TURNED[wanted]  # a time of birth, where the figure is an age
    assert type(operator) is wanted


def test_every_limit_that_is_named_is_one() -> None:
    assert set(Limits.__struct_fields__) >= AT_LEAST | STRICT | set(ELSEWHERE)
    assert meets("limits.disk_used", 0.79, 0.8)
    assert not meets("disk_used", 0.8, 0.8)
    assert meets("backend_errors", 10, 10)
    assert not meets("certificate_left", 30, 30)
    assert meets("backup_size_min", 5, 5)
