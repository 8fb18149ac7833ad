"""An expectation is refused at collection when it isn't whole, and says all of itself when it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.expectation import NAMES, expectation, names_of, of_item
from target.kinds import FilePath
from target.model import Logs, Project, Site, Target

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE: dict[str, Any] = {
    "slug": "backup-fresh",
    "guide": "Morning check-in: `ls -lh`, a recent file",
    "severity": "critical",
    "remedy": "Read {backups}/backup.log",
}


def refused(**changes: object) -> str:
    with pytest.raises(ValueError, match=r"^expectation ") as raised:
        expectation(**{**WHOLE, **changes})
    return str(raised.value)


@pytest.mark.parametrize("slug", ["a", "backup-fresh", "disk-space-2", "x1-y2"])
def test_a_slug_is_lower_case_words(slug: str) -> None:
    assert expectation(**{**WHOLE, "slug": slug}).kwargs["slug"] == slug


@pytest.mark.parametrize("slug", ["", "Backup", "backup_fresh", "-a", "a-", "a--b", "1a", "a b", "backup-fresh\n", "ä"])
def test_what_is_no_slug_is_refused(slug: str) -> None:
    assert "a slug is lower-case words joined by '-'" in refused(slug=slug)


def test_a_severity_that_isnt_known_is_refused() -> None:
    assert "severity 'bad' is none of ('critical', 'major', 'minor')" in refused(severity="bad")


def test_a_guide_reference_names_its_section() -> None:
    assert "guide is written as 'Section: what stands there'" in refused(guide="Morning check-in")


@pytest.mark.parametrize(
    ("remedy", "said"),
    [
        ("", "its remedy is empty"),
        ("Look at {nothing}", "its remedy names nothing"),
        ("Look at {site.url}", "its remedy names site.url"),
        ("Look at {0} and {}", "its remedy names , 0"),
        ("Look at {site:{evil}}", "its remedy names site"),
        ("awk '{print $1}'", "its remedy names print $1"),
        ("a } brace", "its remedy can't be read (Single '}' encountered in format string)"),
        ("a { brace", "its remedy can't be read"),
    ],
)
def test_a_remedy_that_cant_be_filled_in_is_refused(remedy: str, said: str) -> None:
    assert said in refused(remedy=remedy)


PIECES = st.sampled_from([*"{}!:.[]abs ", "{site}", "{item}", "{site!r}", "{{", "}}"])


@given(remedy=st.lists(PIECES, min_size=1, max_size=8).map("".join))
def test_a_remedy_that_is_taken_can_be_filled_in(remedy: str) -> None:
    try:
        taken = expectation(**{**WHOLE, "remedy": remedy})
    except ValueError:
        return
    taken.kwargs["remedy"].format_map(dict.fromkeys(NAMES, "x"))


def test_a_limit_that_doesnt_exist_is_refused() -> None:
    assert "there are no limits ['backup_ages']" in refused(limits=("backup_age", "backup_ages"))


# A collected test ---------------------------------------------------------------------------------------------------


def item(function: Callable[..., object] | None, *marks: pytest.MarkDecorator) -> pytest.Item:
    """What of_item asks of a test, its own marks first as pytest gives them."""
    found = [one.mark for one in marks]
    closest = next((one for one in found if one.name == "expectation"), None)
    asked = SimpleNamespace(
        iter_markers=lambda: iter(found), get_closest_marker=lambda _name: closest, function=function
    )
    return cast("pytest.Item", asked)


def is_fresh() -> None:
    """The newest backup is at most a day old.

    And more that an operator need not read.
    """


def test_a_test_says_what_holds_in_the_first_line_of_its_docstring() -> None:
    found = of_item(item(is_fresh, expectation(**WHOLE, limits=("backup_age",)), pytest.mark.daily))
    assert found is not None
    assert found.title == "The newest backup is at most a day old."
    assert (found.slug, found.severity, found.limits) == ("backup-fresh", "critical", ("backup_age",))
    assert found.section == "Daily · Morning check-in"


def test_a_test_without_a_docstring_has_no_title() -> None:
    for function in (lambda: None, None):
        found = of_item(item(function, expectation(**WHOLE)))
        assert found is not None
        assert found.title == ""


def test_when_it_is_looked_at_is_the_cadence_and_then_its_parts() -> None:
    marks = [pytest.mark.evening, expectation(**WHOLE), pytest.mark.daily, pytest.mark.morning, pytest.mark.daily]
    waived = [*marks, pytest.mark.xfail(raises=AssertionError), pytest.mark.parametrize("a", [1])]
    found = of_item(item(is_fresh, *waived))
    assert found is not None
    assert found.cadences == ("daily", "evening", "morning")


def test_a_test_that_is_none_is_none() -> None:
    assert of_item(item(is_fresh, pytest.mark.daily)) is None


def test_every_name_of_a_remedy_but_the_item_is_the_targets_own() -> None:
    target = Target(
        name="x",
        project=Project(name="shop", directory=FilePath("/srv/shop")),
        site=Site(url="https://shop.example/"),
        logs=Logs(access=FilePath("/var/log/a.log")),
    )
    names = names_of(target)
    assert set(names) == NAMES - {"item"}
    assert names == names | {
        "project": "shop",
        "directory": "/srv/shop",
        "site": "https://shop.example",
        "backups": "/srv/shop/backups",
        "access_log": "/var/log/a.log",
        "error_log": "the error log",
    }
    assert names_of(Target(name="x", project=target.project))["site"] == "the site"
