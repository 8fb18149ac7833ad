"""A remedy says what is typed where this target runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from proofs.harness import ROOT
from report.commands import fitting
from report.expectation import NAMES, names_of
from target.kinds import FilePath
from target.model import Backups, Database, Project, Services, Target

REMEDIES = sorted(
    keyword.value.value
    for room in ("tests_daily", "tests_weekly", "tests_monthly", "tests_security")
    for file in (ROOT / room).glob("test_*.py")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    if isinstance(node, ast.Call)
    for keyword in node.keywords
    if keyword.arg == "remedy" and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
)


def target(*, swarm: bool = False, managed: bool = False, **database: str) -> Target:
    return Target(
        name="shop",
        project=Project("shop", FilePath("/srv/shop"), "swarm" if swarm else "compose"),
        services=Services(names=["web", "pg"], backend="web", cache="", database="" if managed else "pg"),
        database=Database(**database),  # type: ignore[arg-type]
    )


def said(remedy: str, of: Target) -> str:
    return fitting(remedy, of).format_map({**names_of(of), "item": "web"})


def test_on_one_machine_it_stays_as_it_is_written() -> None:
    assert len(REMEDIES) > 60
    for remedy in REMEDIES:
        assert fitting(remedy, target()) is remedy


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("`docker compose -p {project} logs --tail 50 {item}`", "`docker service logs --tail 50 shop_web`"),
        (
            "`docker compose -p {project} logs --timestamps --since 24h {database}`",
            "`docker service logs --timestamps --since 24h shop_pg`",
        ),
        ("`docker compose -p {project} restart {backend}`", "`docker service update --force shop_web`"),
        ("`docker compose build --pull {item}`", "`docker build --pull -t IMAGE . && docker push IMAGE`"),
        ("`docker compose pull {item}`", "`docker service update --image IMAGE shop_web`"),
        ("`docker compose up -d {item}`", "`docker stack deploy -c FILE shop`"),
        ("`docker compose -p {project} up -d --scale {backend}=2`", "`docker service scale shop_web=2`"),
        ("`docker compose up -d --scale {backend}=3 --no-recreate {backend}`", "`docker service scale shop_web=3`"),
        (
            "`docker compose -p {project} exec {backend} python3 manage.py help`",
            "`docker exec $(docker ps -q -f name=shop_web | head -n 1) python3 manage.py help`",
        ),
    ],
)  # fmt: skip
def test_in_a_swarm_it_is_what_does_the_same_there(written: str, typed: str) -> None:
    assert said(written, target(swarm=True)) == typed


@pytest.mark.parametrize("remedy", REMEDIES)
def test_no_remedy_names_what_a_target_hasnt_got(remedy: str) -> None:
    for shape in (target(swarm=True), target(managed=True, host="db.example.org"), target(swarm=True, managed=True)):
        text = said(remedy, shape)
        if shape.project.orchestrator == "swarm":
            assert not re.search(r"docker compose ", text)
        # Where the data lies elsewhere `data-directory-size` can't tell, so nobody reads its remedy.
        if not shape.services.database and "du -ak" not in text:
            assert "exec  " not in text
            assert "logs `" not in text
            assert "name=shop_ " not in text


def test_a_managed_database_is_asked_where_it_is() -> None:
    written = "`docker compose -p {project} exec {database} psql -U …`"
    assert said(written, target(managed=True, host="db.example.org")) == "`psql -h db.example.org -U …`"
    assert said(written, target(managed=True, service="shop")) == "`psql service=shop`"
    assert said(written, target(managed=True, host="{odd}")) == "`psql -h '{odd}' -U …`"
    inside = "`docker compose -p {project} exec {database} sh -c 'psql -U \"$POSTGRES_USER\" postgres'`, there"
    assert said(inside, target(managed=True)) == "`psql -U …`, there"


@pytest.mark.parametrize(
    ("command", "typed"),
    [
        ("./backup.sh", "`./backup.sh` in /srv/shop"),
        ("sudo systemctl start dump.service", "`sudo systemctl start dump.service` in /srv/shop"),
        ("/usr/local/bin/dump {shop}", "`/usr/local/bin/dump {shop}`"),
        ("", "the way yours are made"),
    ],
)
def test_a_backup_is_made_the_way_that_the_target_makes_them(command: str, typed: str) -> None:
    of = replace(target(), backups=Backups(command=command))
    assert said("Make one, {make_backup}.", of) == f"Make one, {typed}."
    assert any("{make_backup}" in remedy for remedy in REMEDIES)
    assert not any("./backup.sh" in remedy for remedy in REMEDIES)


def test_every_name_of_a_remedy_is_known() -> None:
    assert Path(ROOT).is_dir()
    for remedy in REMEDIES:
        assert set(re.findall(r"\{(\w+)\}", fitting(remedy, target(swarm=True)))) <= {*NAMES, "item"}
