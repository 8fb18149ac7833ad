"""Results and runs to render, and texts that somebody with bad intentions would have the system write."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from report.lines import Result, Run

T = TypeVar("T")

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</pre></details></td></tr></table><h1>gone</h1>",
    "<!-- <style>*{display:none}</style>",
    "&lt;b&gt; &amp;#60;script&#62;",
    "javascript:alert(1)",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "\x1b[31mred\x1b[0m \x1b[2J\x1b[H",
    "\x1b]0;a new title\x07",
    "\x1b]8;;https://example.org/\x1b\\a link\x1b]8;;\x1b\\",
    "\x1b]52;c;cm0gLXJmIC8=\x07",
    "\x1b]2;never ended",
    "\x9b31mred by one byte\x9d0;title\x9c",
    "\x1bPdevice string\x1b\\ \x1b(0 \x1bc",
    "over\rwritten \x08\x08\x08",
    "one\ntwo\r\nthree\u2028four\u2029five\x85six\x1cseven",
    "invoice\u202egpj.exe\u202c \u2066isolated\u2069 \u200fright",
    "in\u200bvis\u200dib\u2060le\ufeff \u00ad\u034f\u3164\U000e0041\ufe0f",
    "\ud800 lone \udfff surrogates",
    "nul\x00 del\x7f bell\x07 \ufffe \U0001ffff \ue000",
    "Z" + "\u0301" * 300 + "algo",
    "x" * 100_000,
    "\x1b[31m" * 20_000,
    "`" * 51 + "<b>`<i>`",
    "EEE\nE  assert False\nERROR <b>",
    "тест 測試 🐘 مرحبا",
    "[a link](https://example.org/) ![a picture](https://example.org/x.png) <https://example.org/>",
    "@everyone <!channel> <@U012AB3CD> #123 GH-123 https://example.org/ mail@example.org",
    "| a | table |\n|---|---|\n# a heading\n- [ ] a box\n```",
    'x"} 1\nup{job="forged"} 0 \\" \\n # HELP forged',
    "]]> <![CDATA[ <!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]> &y;",
    "%s %n {0.__class__} {item} \\N{BULLET} $(reboot) `reboot`",
)
"""Texts that must be harmless wherever they are shown."""


def result(slug: str = "backup-fresh", **changes: object) -> Result:
    """A result that holds, with everything that a result can have, and with changes."""
    made: dict[str, object] = {
        "slug": slug,
        "item": "",
        "title": "The newest backup is at most a day old.",
        "section": "Daily · Morning check-in",
        "guide": "`ls -lh` — a recent file",
        "cadences": ["daily", "morning"],
        "severity": "major",
        "symptom": False,
        "remedy": "Run `/srv/synk/backup.sh` by hand, then read its log.",
        "outcome": "holds",
        "message": f"{slug} is 31 h old, wanted at most 24 h (limits.backup_age, the guide's default).",
        "expected": "at most 24 h old",
        "seen": "31 h old",
        "limits": [{"name": "limits.backup_age", "value": "24 h", "origin": "the guide's default"}],
        "looked_at": "9 files in /srv/synk/backups",
        "cause": "",
        "cause_text": "",
        "notes": ["The time is taken from the name."],
        "tables": [{"title": "Backups", "columns": ["name", "age"], "rows": [["a.sql.gz", "31 h"]]}],
        "excerpts": [{"title": "backup.log", "lines": ["ERROR no space left", "  E indented"], "left_out": 3}],
        "figures": [],
        "charts": [],
        "chapter": "",
        "duration": 0.012,
        "reason": "",
        "traceback": "",
    }
    made |= changes
    return cast("Result", {"found": made["outcome"], "found_message": made["message"], **made})


def blind(slug: str, cause: str, **changes: object) -> Result:
    """A result that cannot be told because a connection failed."""
    made = {
        "outcome": "cannot tell",
        "message": f"{slug} can't be told.",
        "seen": "",
        "looked_at": "",
        "cause": cause,
        "cause_text": f"the {cause} does not answer within 5 s",
    }
    return result(slug, **made | changes)


def run(**changes: object) -> Run:
    """A daily run on the morning of a winter day in Vienna, with changes."""
    made: dict[str, object] = {
        "target": "synk",
        "cadence": "daily",
        "token": "7f3a9c21",
        "started": "2026-11-23T08:00:01+00:00",
        "ended": "2026-11-23T08:00:02+00:00",
        "seconds": 0.61,
        "host_zone": "Europe/Vienna",
        "version": "0.1.0",
        "settings_file": "/etc/synk/target.toml",
        "warnings": [],
    }
    return cast("Run", made | changes)


def every_text(value: T, change: Callable[[str], str]) -> T:
    """A copy of something made of plain JSON with every text in it changed, but for the words of a choice."""
    changed: object = value
    if isinstance(value, str):
        changed = change(value)
    elif isinstance(value, list):
        changed = [every_text(item, change) for item in value]
    elif isinstance(value, dict):
        changed = {
            key: item if key in ("outcome", "severity") else every_text(item, change) for key, item in value.items()
        }
    return cast("T", changed)
