"""A small package index of the lab's own, so that pip and npm have somebody to ask for newer versions.

It stands beside the Compose project and not in it: static files behind the lab's own nginx image, attached to the
project's network as `packages` for pip in the backend, and published on 127.0.0.1 for npm on the host. It knows what
the backend's image has installed and what the frontend's package.json names, in just those versions, so that a
healthy lab is up to date. Files of packages it has none: nobody installs anything from it.

It is the lab's paging service as well: under /on-call/ it takes alerts of those who know the key.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import quote

from lab import beside
from lab.debian import ensure_installed
from lab.engine import client
from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from docker.models.containers import Container

    from lab.stack import Lab

LABEL = "org.synk.lab.packages"
ALIAS = "packages"
ANSWER_SECONDS = 15.0
PYTHON = ("python3", "-m", "pip", "list", "--format=json", "--disable-pip-version-check", "--no-cache-dir")
CONFIGURATION = """# Written by the lab: static pages for pip under /simple/ (PEP 503), for npm under /npm/.
worker_processes 1;
error_log stderr warn;
events { worker_connections 64; }
http {
    access_log off;
    types { }
    server {
        listen 80;
        root /srv/packages/html;
        location /simple/ {
            default_type text/html;
            index index.html;
        }
        location /npm/ {
            default_type application/json;
        }
        # Advisories: lab.advisories knows them. Looked up for every question, since it stands up later than this.
        resolver 127.0.0.11 valid=2s;
        set $advisories http://advisories:8000;
        proxy_connect_timeout 1s;
        client_max_body_size 16m;
        location /npm/-/npm/v1/security/ {
            proxy_pass $advisories;
        }
        location /osv/ {
            proxy_pass $advisories;
        }
        # Alerts, as a paging service takes them: of those who know the key.
        location = /on-call/@on_call_key@ {
            limit_except POST { deny all; }
            try_files /none =204;
        }
        location /on-call/ {
            return 403;
        }
    }
}
"""


def up(lab: Lab) -> None:
    """Write the index anew and have it stand; the project's network and images have to be there.

    Raises:
        LabError: it does not answer, or there is no npm on the host and none can be installed.
    """
    ensure_npm()
    write(lab)
    down(lab)
    _start(lab)
    answers(lab)


def down(lab: Lab) -> bool:
    """Remove its container; True when there was one. To be done before the project's network goes."""
    return beside.removed(lab, LABEL)


def container(lab: Lab) -> Container:
    """The container that serves it.

    Raises:
        LabError: there is none.
    """
    return beside.standing(lab, LABEL, "package index")


def ensure_npm() -> None:
    """Make sure that npm is on the host, as it would be where the frontend is built.

    Raises:
        LabError: it is not, and it can be installed from here only as root on Debian or Ubuntu.
    """
    ensure_program("npm", "install Node.js")


def ensure_wapiti() -> None:
    """Make sure that Wapiti is on the host, where the checks' dynamic scan looks for a scanner.

    Raises:
        LabError: it is not, and it can be installed from here only as root on Debian or Ubuntu.
    """
    ensure_program("wapiti", "install it with: pipx install wapiti3")


def ensure_program(program: str, how: str) -> None:
    """Install a program by the Debian package of its name, unless it is there.

    Args:
        program: Which.
        how: What to do where it can't be installed from here.

    Raises:
        LabError: It can't.
    """
    ensure_installed(lambda: [] if shutil.which(program) is not None else [program], how)


def write(lab: Lab) -> None:
    """Write what the index serves: everything that is installed, in the version in which it is."""
    shutil.rmtree(pages(lab), ignore_errors=True)
    put(directory(lab) / "nginx.conf", CONFIGURATION.replace("@on_call_key@", lab.secrets()["on_call_key"]))
    for name, version in installed(lab).items():
        publish_python(lab, name, version)
    for name, version in wanted_by_frontend(lab).items():
        publish_npm(lab, name, version)
    for path in (directory(lab), *directory(lab).rglob("*")):
        if path.is_dir():
            # A strict umask must not keep nginx's workers out.
            path.chmod(0o755)


def directory(lab: Lab) -> Path:
    """What its container gets to see."""
    return lab.directory / "packages"


def pages(lab: Lab) -> Path:
    """What it serves."""
    return directory(lab) / "html"


def installed(lab: Lab) -> dict[str, str]:
    """Name and version of what pip sees in the backend's image; kept, since asking takes a second.

    Raises:
        LabError: pip in the image does not say.
    """
    image = client().images.get(f"{lab.name}_backend")
    kept = lab.state().get("installed", {})
    if kept.get("image") != image.id:
        output = client().containers.run(image.id, list(PYTHON), network_mode="none", remove=True)
        try:
            packages = {one["name"]: one["version"] for one in json.loads(output)}
        except (ValueError, KeyError, TypeError):
            raise LabError(f"pip in {lab.name}_backend does not say what is installed: {output[:400]!r}") from None
        kept = {"image": image.id, "packages": packages}
        lab.remember(installed=kept)
    packages_kept: dict[str, str] = kept["packages"]
    return packages_kept


def wanted_by_frontend(lab: Lab) -> dict[str, str]:
    """Name and version of what package.json names; the lab's pins exact versions."""
    written = json.loads((lab.project_directory / "frontend" / "package.json").read_text())
    return {**written.get("dependencies", {}), **written.get("devDependencies", {})}


def python_page(lab: Lab, name: str) -> Path:
    """The page of a Python package, under its normalized name."""
    return pages(lab) / "simple" / re.sub(r"[-_.]+", "-", name).lower() / "index.html"


def npm_page(lab: Lab, name: str) -> Path:
    """The document of an npm package."""
    return pages(lab) / "npm" / name


def publish_python(lab: Lab, name: str, *versions: str) -> None:
    """Have the index know a package in these versions; of its files it has but the names."""
    file = re.sub(r"[-_.]+", "_", name)
    links = [_link(f"{file}-{version}-py3-none-any.whl") for version in versions]
    head = '<!DOCTYPE html>\n<html><head><meta name="pypi:repository-version" content="1.0">'
    body = [f"{head}<title>{name}</title></head><body>", *links, "</body></html>", ""]
    put(python_page(lab, name), "\n".join(body))


def _link(file: str) -> str:
    digest = hashlib.sha256(file.encode()).hexdigest()
    return f'<a href="/files/{quote(file)}#sha256={digest}">{file}</a><br>'


def publish_npm(lab: Lab, name: str, *versions: str) -> None:
    """Have the registry know a package in these versions; the last is the latest."""
    put(npm_page(lab, name), json.dumps(_packument(lab, name, versions), indent=1) + "\n")


def _packument(lab: Lab, name: str, versions: Sequence[str]) -> Mapping[str, object]:
    return {
        "name": name,
        "dist-tags": {"latest": versions[-1]},
        "versions": {
            version: {
                "name": name,
                "version": version,
                "dist": {
                    "tarball": f"{lab.npm_registry}{name}/-/{name}-{version}.tgz",
                    "shasum": hashlib.sha1(f"{name}-{version}".encode(), usedforsecurity=False).hexdigest(),
                },
            }
            for version in versions
        },
    }


def put(path: Path, content: str) -> None:
    """Write a file that nginx's workers may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(content)
    aside.chmod(0o644)
    aside.replace(path)


def reload(lab: Lab) -> None:
    """Put its configuration in force.

    Raises:
        LabError: nginx refuses it.
    """
    done = container(lab).exec_run(["nginx", "-c", "/srv/packages/nginx.conf", "-s", "reload"])
    if done.exit_code != 0:
        raise LabError(f"the package index of lab {lab.name} refuses its configuration: {done.output[-400:]!r}")


def _start(lab: Lab) -> None:
    engine = client()
    network = f"{lab.name}_default"
    made = engine.containers.create(
        f"{lab.name}_nginx",
        ["nginx", "-c", "/srv/packages/nginx.conf", "-g", "daemon off;"],
        name=f"{lab.name}_packages",
        labels={LABEL: lab.name},
        network=network,
        networking_config={network: engine.api.create_endpoint_config(aliases=[ALIAS])},
        ports={"80/tcp": ("127.0.0.1", lab.packages_port)},
        volumes={str(directory(lab)): {"bind": "/srv/packages", "mode": "ro"}},
        restart_policy={"Name": "unless-stopped"},
        mem_limit="64m",
    )
    made.start()


def answers(lab: Lab, seconds: float = ANSWER_SECONDS) -> None:
    """Wait until it answers on the host.

    Raises:
        LabError: it does not in `seconds`.
    """
    name = next(iter(wanted_by_frontend(lab)))
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + seconds
    while True:
        try:
            with ask.open(f"{lab.npm_registry}{name}", timeout=2) as answer:
                json.load(answer)
                return
        except (OSError, ValueError) as failed:
            if time.monotonic() > deadline:
                raise LabError(f"the package index of lab {lab.name} does not answer: {failed}") from failed
        time.sleep(0.05)
