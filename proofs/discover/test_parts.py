"""Which service plays which part: real stacks' shapes, with their traps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.parts import TRAITS, guess
from discover.stacks import Seen, _environment, _path_of, _programs


def seen(service: str, image: str = "x", **more: object) -> Seen:
    return Seen("1", f"p-{service}-1", service, "p", image, running=True, **more)  # type: ignore[arg-type]


POSTGRES = seen(
    "store", "postgres:15-alpine", processes=frozenset({"postgres"}), exposed=frozenset({5432}),
    variables=frozenset({"PGDATA", "POSTGRES_DB"}), check=frozenset({"pg_isready"}),
)  # fmt: skip
CACHE = seen("mem", "valkey/valkey:8", processes=frozenset({"valkey-server"}), exposed=frozenset({6379}))
DJANGO = seen("site", "registry.example.org/shop:1.2", processes=frozenset({"gunicorn"}), exposed=frozenset({8000}))
CELERY = seen("jobs", "registry.example.org/shop:1.2", processes=frozenset({"celery"}), exposed=frozenset({8000}))
NIGHTLY = seen(
    "nightly", "postgres:15-alpine", processes=frozenset({"crond"}), exposed=frozenset({5432}),
    variables=frozenset({"PGDATA", "POSTGRES_DB"}),
)  # fmt: skip
EXPORTER = seen("metrics", "prometheuscommunity/postgres-exporter:v0.15", exposed=frozenset({9187}))
BOUNCER = seen("pool", "edoburu/pgbouncer:1.23", processes=frozenset({"pgbouncer"}), exposed=frozenset({5432}))
FRONT = seen("edge", "nginx:1.27", processes=frozenset({"nginx"}), exposed=frozenset({80}))
STACK = (POSTGRES, CACHE, DJANGO, CELERY, NIGHTLY, EXPORTER, BOUNCER, FRONT)


@pytest.mark.parametrize(
    ("part", "service"),
    [("database", "store"), ("cache", "mem"), ("backend", "site"), ("pooler", "pool"), ("proxy", "edge")],
)
def test_each_part_is_found_whatever_it_is_called(part: str, service: str) -> None:
    found = guess(part, STACK)
    assert found.service == service, found
    assert found.why


def test_two_that_could_be_it_are_a_question_with_the_reasons_of_both() -> None:
    other = seen("ledger", "postgis/postgis:16", processes=frozenset({"postgres"}), exposed=frozenset({5432}))
    plain = seen("store", "postgres:15", processes=frozenset({"postgres"}), exposed=frozenset({5432}))
    found = guess("database", (plain, other))
    assert (found.service, set(found.instead)) == ("", {"store", "ledger"})
    assert "store: postgres runs in it" in found.why
    assert "ledger: postgres runs in it" in found.why


def test_nothing_that_looks_like_it_is_said_with_how_many_were_looked_at() -> None:
    found = guess("database", (FRONT, CACHE))
    assert (found.service, found.instead, found.why) == ("", (), "no container looks like one (of 2 services)")


def test_a_backup_made_of_the_databases_image_is_not_the_database() -> None:
    assert guess("database", (NIGHTLY, POSTGRES)).service == "store"


@given(st.permutations(STACK), st.sampled_from(sorted(TRAITS)))
def test_the_order_of_containers_doesnt_matter(order: list[Seen], part: str) -> None:
    assert guess(part, order).service == guess(part, STACK).service


SECRETS = [
    "POSTGRES_PASSWORD=hunter2-of-db",
    "DATABASE_URL=postgres://u:hunter2-of-db@store:5432/x",
    "BROKEN=http://[::1",
    "REDIS_HOST=mem:6379",
    "POSTGRES_DB=shop",
    "EMPTY=",
    "NAMELESS",
]


def test_of_an_environment_names_and_public_values_are_kept_and_whom_it_names() -> None:
    found = _environment(SECRETS, ("store", "mem"), "store:service_healthy:false,gone:x:y")
    assert found["public"] == {"POSTGRES_DB": "shop"}
    assert found["refers"] == {"store": "DATABASE_URL", "mem": "REDIS_HOST"}
    assert "hunter2-of-db" not in str(found)


@given(st.text(), st.lists(st.text()))
def test_of_a_command_only_known_programs_are_kept(secret: str, words: list[str]) -> None:
    assert _programs(["redis-server", "--requirepass", secret, *words]) <= _programs([secret, *words]) | {
        "redis-server"
    }
    assert _programs(["sh", "-c", f"exec /usr/bin/gunicorn shop.wsgi --password '{'x' * 9}'"]) == {"gunicorn"}


def test_of_a_health_check_the_path_is_kept_and_nothing_else() -> None:
    assert _path_of(["CMD-SHELL", "curl -fu me:pw http://localhost:8000/health/?key=abc || exit 1"]) == "/health/"
    assert not _path_of(["CMD", "curl", "https://example.org/health/"])
