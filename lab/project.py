"""What a lab writes on the host: Compose project, proxy configuration, certificates, target file."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from lab import certificates, ports, records
from lab.base_image import BASE
from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.certificates import Authority
    from lab.stack import Lab

HERE = Path(__file__).parent
PLACEHOLDER = re.compile(r"@([a-z_]+)@")
# Where each image's sources stand in the project, as a deployment would have them.
IMAGES = {"db": "db", "redis": "redis", "backend": "backend", "nginx": "frontend"}
RENEW_BELOW = dt.timedelta(days=45)
SECRETS = {
    "postgres_password": 32,
    "app_password": 32,
    "ops_password": 32,
    "secret_key": 60,
    "admin_password": 24,
    "deputy_password": 24,
    "member_password": 24,
    "on_call_key": 32,
}
# Where a fault keeps the real backups while it works on links to them.
BACKUPS_KEPT = "backups.kept"
OPERATOR_PRIVATE = {".env.production", "postgres.env", "web.env"}
ROTA = """# Written by the lab: who is on call, one after the other.
[[rotation]]
people = ["Ada", "Grace"]
starts = 2026-01-05T09:00:00
every = "7 d"
"""


def write(lab: Lab) -> bool:
    """Write all of a lab's files; what exists and must last (ports, secrets, certificates) is kept.

    Returns:
        Whether anything changed that the proxy has to be told of.
    """
    _put_backups_back(lab)
    for directory in (lab.project_directory, lab.backups, lab.nginx_logs, lab.nginx_configuration):
        directory.mkdir(parents=True, exist_ok=True)
    lab.directory.chmod(0o755)
    if not (lab.directory / "lab.json").exists():
        lab.remember(ports=ports.choose(lab.name))
    lab.remember(ports=ports.complete(lab.name, lab.state()["ports"]))
    keep_secrets(lab)
    values = placeholders(lab)
    render(HERE / "templates" / "project", lab.project_directory, values)
    changed = render(HERE / "templates" / "nginx", lab.nginx_configuration, values)
    for image, place in IMAGES.items():
        copy_sources(HERE / "images" / image, lab.project_directory / place)
    changed |= ensure_certificate(lab)
    certificates.write_private(lab.ops_password_file, (lab.secrets()["ops_password"] + "\n").encode())
    certificates.write_private(lab.on_call_file, (on_call_url(lab) + "\n").encode())
    lab.rota_file.write_text(ROTA)
    certificates.write_private(lab.target_file, target_toml(lab).encode())
    records.write(lab, dt.datetime.now().astimezone().date())
    return changed


def placeholders(lab: Lab) -> dict[str, str]:
    """What the templates may ask for by `@name@`."""
    today = dt.datetime.now().astimezone().date()
    kept = lab.secrets()
    return {
        "name": lab.name,
        "base": BASE,
        "domain": lab.domain,
        "database": lab.database,
        "app_user": f"{lab.name}_app",
        "time_zone": time_zone(),
        "https_port": str(lab.https_port),
        "http_port": str(lab.http_port),
        "database_port": str(lab.database_port),
        "npm_registry": lab.npm_registry,
        "postgres_password": kept["postgres_password"],
        "app_password": kept["app_password"],
        "ops_password": kept["ops_password"],
        "secret_key": kept["secret_key"],
        "last_updated": str(today - dt.timedelta(days=20)),
        "next_review": str(today + dt.timedelta(days=70)),
    }


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values in the place of `@name@`.

    Raises:
        LabError: the template asks for something that is not there.
    """

    def value(match: re.Match[str]) -> str:
        try:
            return values[match[1]]
        except KeyError:
            raise LabError(f"a template asks for @{match[1]}@, which the lab does not know") from None

    return PLACEHOLDER.sub(value, template)


def time_zone() -> str:
    """The host's zone by its IANA name, UTC when it cannot be told."""
    if name := os.environ.get("TZ", "").lstrip(":"):
        return name
    link = Path("/etc/localtime")
    target = str(link.resolve())
    return target.split("/zoneinfo/", 1)[1] if "/zoneinfo/" in target else "UTC"


def sources_digest() -> str:
    """One digest over all image sources: the same as long as there is nothing new to build."""
    digest = hashlib.sha256(BASE.encode())
    for path in sorted((HERE / "images").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(HERE)}\0{path.stat().st_mode & 0o111}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def target_toml(lab: Lab) -> str:
    """The settings that make the lab a target of the checks."""
    logs = lab.nginx_logs
    return f"""# Written by the lab. Services go by their Compose names: db, redis, backend, nginx.
name = "{lab.name}"
disposable = true

[project]
name = "{lab.name}"
directory = "{lab.project_directory}"

[site]
url = "https://{lab.domain}/"
connect_to = "127.0.0.1:{lab.https_port}"        # the lab's domain is in no DNS
http_connect_to = "127.0.0.1:{lab.http_port}"
paths = ["/", "/api/status/"]
health = "/health/"
ca_file = "{lab.ca_file}"
admin_networks = ["192.0.2.0/28"]                # the office of lab/access_history.py

[certificate]
file = "{lab.certificates / "live" / lab.domain / "fullchain.pem"}"

[database]
user = "ops_checks"
password_file = "{lab.ops_password_file}"

[backups]
directory = "{lab.backups}"

[on_call]
url_file = "{lab.on_call_file}"
rota = "{lab.rota_file}"
send_test = true

[dependencies]
advisories = "http://127.0.0.1:{lab.packages_port}/osv/v1/query"

[logs]
access = "{logs / "access.log"}"
error = "{logs / "error.log"}"
admin = "{logs / "admin_access.log"}"
known_clients = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]   # who visits the lab comes by the engine's gateway

[records]
attestations = "{lab.directory / "attestations.toml"}"
waivers = "{lab.directory / "waivers.toml"}"

[report]
history = "{lab.history_file}"   # thrown away with the lab

[limits]
statistics_age = "1 s"   # the counters of a lab are minutes old; real targets keep the default

[coverage]
log_window = 0.0   # the containers of a lab are minutes old; real targets keep the default
"""


def on_call_url(lab: Lab, key: str = "") -> str:
    """The alert route as Apprise writes it: `lab.packages` takes alerts as well, of those who know the key.

    Args:
        lab: whose.
        key: another key than the right one.
    """
    return f"json://127.0.0.1:{lab.packages_port}/on-call/{key or lab.secrets()['on_call_key']}"


def _put_backups_back(lab: Lab) -> None:
    """Undo what a fault that was killed half-way left behind."""
    kept = lab.directory / BACKUPS_KEPT
    if kept.exists():
        shutil.rmtree(lab.backups, ignore_errors=True)
        kept.rename(lab.backups)


def keep_secrets(lab: Lab) -> None:
    """Make the passwords of a lab that has none yet, or has fewer than there are by now."""
    path = lab.directory / "secrets.json"
    kept = lab.secrets() if path.exists() else {}
    made = {purpose: secrets.token_urlsafe(length)[:length] for purpose, length in SECRETS.items()}
    if set(kept) != set(made):
        # A lab of an earlier version has fewer.
        certificates.write_private(path, (json.dumps({**made, **kept}, indent=2) + "\n").encode())


def render(templates: Path, directory: Path, values: Mapping[str, str]) -> bool:
    """Fill the templates in; True when a file came out differently than it stood there."""
    changed = False
    for template in templates.rglob("*"):
        if not template.is_file():
            continue
        path = directory / template.relative_to(templates)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = fill(template.read_text(), values)
        if path.exists() and path.read_text() == content:
            continue
        changed = True
        if template.name in OPERATOR_PRIVATE:
            certificates.write_private(path, content.encode())
        else:
            path.write_text(content)
            path.chmod(0o755 if template.stat().st_mode & stat.S_IXUSR else 0o644)
    return changed


def copy_sources(sources: Path, directory: Path) -> None:
    """Copy what an image is built from, with modes of our own: a strict umask must not reach the images."""
    for source in sources.rglob("*"):
        if source.is_file() and "__pycache__" not in source.parts:
            path = directory / source.relative_to(sources)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, path)
            path.chmod(0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644)
    for path in (directory, *directory.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


def ensure_certificate(lab: Lab) -> bool:
    """Have a good certificate in place; True when a new one was issued."""
    now = dt.datetime.now(dt.UTC)
    if not lab.ca_file.exists():
        certificates.save_authority(certificates.make_authority(lab.name, now), lab.authority_directory)
        shutil.copyfile(lab.authority_directory / "root.pem", lab.ca_file)
    authority = certificates.load_authority(lab.authority_directory)
    fullchain = lab.certificates / "live" / lab.domain / "fullchain.pem"
    if fullchain.exists() and _good(fullchain.read_bytes(), authority, lab, now):
        return False
    # An hour back, as Let's Encrypt does, for clients whose clocks are behind.
    leaf = certificates.issue(authority, site_names(lab), now - dt.timedelta(hours=1))
    certificates.install(leaf, [authority.intermediate], lab.certificates, lab.domain)
    return True


def _good(fullchain: bytes, authority: Authority, lab: Lab, now: dt.datetime) -> bool:
    """Whether a certificate is ours, for this site, whole and lasting: a fault may have left another."""
    leaf, *between = x509.load_pem_x509_certificates(fullchain)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        leaf.issuer == authority.intermediate.certificate.subject
        and between == [authority.intermediate.certificate]
        and lab.domain in names.get_values_for_type(x509.DNSName)
        and leaf.not_valid_after_utc - now > RENEW_BELOW
    )


def site_names(lab: Lab) -> list[str]:
    """The names that the site's certificate is for."""
    return [lab.domain, f"www.{lab.domain}", "localhost", "127.0.0.1"]
