"""Stacks of other shapes: logs on standard output, a certificate in the image, Compose files that are hard to read."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from discover.__main__ import NO_SETTINGS
from proofs.discover.conftest import discover
from proofs.discover.test_lab import flat
from target.load import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.stack import Lab
    from proofs.discover.conftest import Made

EDGE = """
events {}
http {
    log_format j escape=json '{"at":"$time_iso8601","status":$status,"request":"$request"}';
    log_format none '$remote_addr says nothing';
    access_log /var/log/nginx/access.log j;
    error_log /var/log/nginx/error.log;
    include /etc/nginx/sites/*.conf;
}
"""
SITE = """
server {
    listen 443 ssl;
    server_name shop.discovery.test;
    ssl_certificate /etc/nginx/baked.pem;
    location /api/ { proxy_pass http://app:8000; }
}
"""


def test_logs_on_standard_output_and_a_certificate_in_the_image_are_said(
    lab: Lab, containers: Callable[[str, Path, list[Made]], None], app: Path, tmp_path: Path
) -> None:
    files = {
        "/etc/nginx/nginx.conf": EDGE,
        "/etc/nginx/shop.conf": SITE,
        "/etc/nginx/sites/shop.conf": "-> ../shop.conf",
        "/var/log/nginx/access.log": "-> /dev/stdout",
    }
    edge: Made = {"service": "edge", "image": "nginx", "files": files}
    (app / "compose.yaml").write_text("services: {edge: {image: a}, app: {image: b}}\n")
    with_bucket: Made = {"service": "app", "image": "backend", "environment": {"BACKUP_BUCKET": "shop-of-secrets"}}
    containers(f"{lab.name}edge", app, [edge, with_bucket])
    file = tmp_path / "t.toml"
    asked = discover("--project", f"{lab.name}edge", "--out", str(file))
    assert asked.status == 0, asked.said
    written, said = tomllib.loads(file.read_text(encoding="utf-8")), flat(file)
    assert written["site"]["url"] == "https://shop.discovery.test/"
    assert written["services"]["backend"] == "app"
    assert "nginx passes /api/ on to it" in said
    assert written["certificate"] == {"on_disk": False}
    assert f"/etc/nginx/baked.pem lies in the container {lab.name}edge-edge-0 alone" in said
    assert "access" not in written["logs"]
    assert f"? /var/log/nginx/access.log is a link to /dev/stdout in {lab.name}edge-edge-0" in said
    assert "? /var/log/nginx/error.log lies in the container" in said
    assert written["services"]["database"] == ""
    assert "? No container is PostgreSQL. Where is it?" in said
    assert "? No dated *.gz was found in" in said
    assert "app has BACKUP_BUCKET in its environment." in said
    assert "? Do they lie in a bucket alone?" in said
    assert "shop-of-secrets" not in said + asked.said


def test_of_several_sites_the_one_that_is_named_is_taken(
    lab: Lab, containers: Callable[[str, Path, list[Made]], None], app: Path, tmp_path: Path
) -> None:
    second = SITE.replace("shop.discovery.test", "blog.discovery.test").replace("baked", "other")
    files = {"/etc/nginx/nginx.conf": EDGE, "/etc/nginx/sites/a.conf": SITE, "/etc/nginx/sites/b.conf": second}
    edge: Made = {"service": "edge", "image": "nginx", "files": files}
    containers(f"{lab.name}sites", app, [edge, {"service": "app", "image": "backend"}])
    for name, other, ways in (
        ("shop", "blog", ()),
        ("blog", "shop", ("--domain", "blog.discovery.test")),
    ):
        file = tmp_path / f"{name}.toml"
        asked = discover("--project", f"{lab.name}sites", "--out", str(file), *ways)
        assert asked.status == 0, asked.said
        written = tomllib.loads(file.read_text(encoding="utf-8"))
        assert written["site"]["url"] == f"https://{name}.discovery.test/"
        assert f"other sites here: {other}.discovery.test" in flat(file)


def test_a_compose_file_that_is_refused_still_gives_its_services(
    lab: Lab, containers: Callable[[str, Path, list[Made]], None], app: Path, tmp_path: Path
) -> None:
    (app / "compose.yaml").write_text("services:\n  db:\n\t  image: a\n  app:\n    image: b\n  later:\n    image: c\n")
    services = [{"service": "db", "image": "db"}, {"service": "app", "image": "backend"}]
    containers(f"{lab.name}tabs", app, services)
    file = tmp_path / "t.toml"
    asked = discover("--project", f"{lab.name}tabs", "--out", str(file))
    assert asked.status == 0, asked.said
    assert load(file, NO_SETTINGS).target.services.names == ["db", "app"]
    assert "compose.yaml is no valid YAML in line 3" in asked.said
    assert "? later: by the Compose files' lines, and without a container. Wanted?" in flat(file)


def test_profiles_that_are_on_and_containers_beyond_the_file_are_written(
    lab: Lab, containers: Callable[[str, Path, list[Made]], None], app: Path, tmp_path: Path
) -> None:
    text = "services:\n  db: {image: a}\n  app: {image: b}\n"
    text += "  tool: {image: c, profiles: [tools]}\n  off: {image: c, profiles: [x]}\n"
    (app / "compose.yaml").write_text(text)
    services: list[Made] = [
        {"service": "db", "image": "db"},
        {"service": "app", "image": "backend"},
        {"service": "app", "image": "backend", "number": 2},
        {"service": "tool", "image": "redis", "command": ["caddy", "run"]},
    ]
    containers(f"{lab.name}more", app, services)
    file = tmp_path / "t.toml"
    asked = discover("--project", f"{lab.name}more", "--out", str(file))
    assert asked.status == 0, asked.said
    target = load(file, NO_SETTINGS).target
    assert target.project.profiles == ["tools"]
    assert dict(target.services.wanted) == {"app": 2}
    assert "so many containers are there; the Compose files want 1 of app" in flat(file)
    assert "? tool runs caddy, whose configuration isn't read here. What is the site's address?" in flat(file)


def test_fewer_containers_than_the_file_wants_are_a_question_and_not_written(
    lab: Lab, containers: Callable[[str, Path, list[Made]], None], app: Path, tmp_path: Path
) -> None:
    (app / "compose.yaml").write_text("services:\n  db: {image: a}\n  app: {image: b, scale: 3}\n")
    containers(f"{lab.name}few", app, [{"service": "db", "image": "db"}, {"service": "app", "image": "backend"}])
    file = tmp_path / "t.toml"
    assert discover("--project", f"{lab.name}few", "--out", str(file)).status == 0
    assert "? The Compose files want 3 of app, and 1 are there. Is that meant? Else it is broken." in flat(file)
    assert not load(file, NO_SETTINGS).target.services.wanted
