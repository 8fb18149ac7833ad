"""A small project tree and a target, for proofs that need expectations of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from records.slugs import Known, Slugs

if TYPE_CHECKING:
    from pathlib import Path

ATTESTED = {
    "admin-rotation": "attested_quarter",
    "costs-reviewed": "attested_month",
    "security-policy-updated": "attested_month",
    "next-month-planned": "attested_month",
}
SLUGS = Slugs(
    {
        **{slug: Known(slug, "minor", parametrized=False, limits=(period,)) for slug, period in ATTESTED.items()},
        "backup-fresh": Known("backup-fresh", "critical", parametrized=False, limits=("backup_age",)),
        "certificate-lasts": Known("certificate-lasts", "critical", parametrized=True, limits=("certificate_left",)),
        "disk-space": Known("disk-space", "critical", parametrized=True, limits=("disk_used",)),
        "python-dependencies-current": Known("python-dependencies-current", "minor", parametrized=False, limits=()),
    }
)
TARGET = '[project]\nname = "here"\ndirectory = "."\n\n[host]\nzone = "Europe/Vienna"\n'
PARAMETERS = """
def pytest_generate_tests(metafunc):
    names = {"filesystem", "certificate_place"}
    for name in names.intersection(metafunc.fixturenames):
        metafunc.parametrize(name, [])
"""


def tree(root: Path) -> Path:
    """Write the expectations of :data:`SLUGS` as tests that would fall over if anybody imported them."""
    for room in ("tests_daily", "tests_weekly", "tests_monthly", "tests_security", "fixtures"):
        (root / room).mkdir(parents=True)
    (root / "fixtures" / "parameters.py").write_text(PARAMETERS)
    lines = ["raise SystemExit('imported')", ""]
    for number, one in enumerate(SLUGS.known.values()):
        argument = {"disk-space": "filesystem, evidence", "certificate-lasts": "certificate_place"}.get(one.slug, "")
        lines += [
            f"@expectation({one.slug!r}, guide='A: b', severity={one.severity!r}, remedy='r', limits={one.limits!r})",
            f"def test_{number}({argument}):",
            "    pass",
            "",
        ]
    (root / "tests_monthly" / "test_all.py").write_text("\n".join(lines))
    return root


def target(root: Path) -> Path:
    """Write a target file."""
    file = root / "target.toml"
    file.write_text(f'name = "here"\n\n{TARGET}')
    return file


def names_in(directory: Path) -> list[str]:
    """What lies in a directory."""
    return sorted(one.name for one in directory.iterdir())
