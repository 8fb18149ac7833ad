"""What doesn't apply: as it is written, and as it follows from settings that say that something isn't there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proofs.harness import ROOT
from records.not_applicable import NO_CACHE, what_does_not_apply, why_not_applicable
from records.slugs import read_slugs
from target.load import load

if TYPE_CHECKING:
    from pathlib import Path

    from target.model import Target

SETTINGS = """
name = "shop"
[project]
name = "shop"
directory = "/srv/shop"
[site]
url = "https://shop.example/"
"""


def target(tmp_path: Path, more: str = "") -> Target:
    file = tmp_path / "target.toml"
    file.write_text(SETTINGS + more, encoding="utf-8")
    return load(file, {}).target


def test_everything_applies_where_nothing_says_otherwise(tmp_path: Path) -> None:
    assert what_does_not_apply(target(tmp_path)) == {}


def test_a_stack_without_redis_says_so_once(tmp_path: Path) -> None:
    says = what_does_not_apply(target(tmp_path, '[services]\ncache = ""\n'))
    assert why_not_applicable(says, "cache-used") == NO_CACHE


def test_a_reason_that_somebody_wrote_stands_above_one_that_follows(tmp_path: Path) -> None:
    written = (
        '[services]\ncache = ""\n[not_applicable]\ncache-used = "the cache is Memcached"\ndisk-space = "read only"\n'
    )
    says = what_does_not_apply(target(tmp_path, written))
    assert says == {"cache-used": "the cache is Memcached", "disk-space": "read only"}


def test_what_follows_from_settings_names_expectations_that_there_are(tmp_path: Path) -> None:
    slugs = read_slugs(ROOT)
    for name in what_does_not_apply(target(tmp_path, '[services]\ncache = ""\n')):
        assert not slugs.trouble_with(name)
