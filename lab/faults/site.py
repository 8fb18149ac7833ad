"""Faults of the site: what it answers, and under which headers."""

from __future__ import annotations

import functools
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lab import traffic
from lab.faults.fault import Fault, Took, eventually, status
from lab.faults.logs import container_logs_restored, proxy_logs_restored
from lab.faults.proxy import HEADERS, SITE, edited
from lab.faults.targets import derived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.stack import Lab

HEADER_IDS = (
    "strict-transport-security",
    "content-security-policy",
    "x-frame-options",
    "x-content-type-options",
    "referrer-policy",
    "permissions-policy",
)
ALL_HEADERS = tuple(f"security-header[{name}]" for name in HEADER_IDS)
START, STATUS = "site-answers[/]", "site-answers[/api/status/]"
SCAN = "dynamic-scan"
NO_SITE = (START, STATUS, "health-endpoint", SCAN)
NO_CERTIFICATE = ("certificate-lasts[served]", "certificate-served")
HEALTH_LOCATION = r"location /health/ \{\n\s*include [^;]*;\n\s*proxy_pass [^;]*;"


# What the site answers.


def backend_answers_500(lab: Lab) -> Iterator[Took]:
    """Take a table away that the API reads: real exceptions, while the health check is content."""
    path = "/api/status/"
    before = status(lab, path)
    with container_logs_restored(lab, "backend", "db"), proxy_logs_restored(lab):
        try:
            lab.psql("ALTER TABLE api_task RENAME TO api_task_away")
            yield Took(before, status(lab, path))
        finally:
            lab.psql("ALTER TABLE IF EXISTS api_task_away RENAME TO api_task")


def backends_down_502(lab: Lab) -> Iterator[Took]:
    """Stop every backend: the start page still answers, what the backend answers is 502."""
    path = "/api/status/"
    before = status(lab, path)
    backends = lab.containers("backend")
    with proxy_logs_restored(lab), ThreadPoolExecutor(len(backends)) as together:
        try:
            list(together.map(lambda container: container.stop(timeout=2), backends))
            yield Took(before, eventually(lambda: status(lab, path), lambda seen: seen == "502"))
        finally:
            list(together.map(lambda container: container.start(), backends))


def redirect_loop(lab: Lab) -> Iterator[Took]:
    """Let the start page redirect to itself."""
    changes = {r"try_files /index\.html =404;": "return 302 /;"}
    with proxy_logs_restored(lab), edited(lab, SITE, changes, lambda: status(lab, "/")) as (before, after):
        yield Took(before, after)


def refused(lab: Lab) -> Iterator[Took]:
    """Point the checks at a port where nobody listens."""
    with socket.socket() as placeholder:
        # Bound but not listening: refused, and nobody else can come to listen there meanwhile.
        placeholder.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{placeholder.getsockname()[1]}"
        with derived(lab, connect_to=address) as target:
            yield Took(_first_byte(f"127.0.0.1:{lab.https_port}", lab), _first_byte(address, lab), target)


def silent(lab: Lab) -> Iterator[Took]:
    """Point the checks at a port that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        # The kernel accepts on its own; nobody ever reads.
        listener.listen(64)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with derived(lab, connect_to=address) as target:
            yield Took(_first_byte(f"127.0.0.1:{lab.https_port}", lab), _first_byte(address, lab), target)


def _first_byte(address: str, lab: Lab) -> str:
    """What a client's greeting to an address is answered with, given a second."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    try:
        with (
            socket.create_connection((host, int(port)), 1.0) as plain,
            context.wrap_socket(plain, server_hostname=lab.domain) as secured,
        ):
            return f"answers with {secured.version()}"
    except TimeoutError:
        return "accepts and says nothing within 1 s"
    except OSError as failed:
        return str(failed)


# Its headers.


def header_absent(name: str) -> Callable[[Lab], Iterator[Took]]:
    """A fault that leaves one header out of every answer."""
    changes = {rf"^add_header {name} .*\n": ""}
    if name == "x-frame-options":
        # The policy forbids framing as well; either of the two is enough.
        changes["; frame-ancestors 'none'"] = ""
    return header_changed(name, {f"(?i){pattern}": text for pattern, text in changes.items()})


def header_changed(name: str, changes: dict[str, str]) -> Callable[[Lab], Iterator[Took]]:
    """A fault that edits the file that sets the security headers, seen by one of them."""
    return functools.partial(_header_changed, name, changes)


def _header_changed(name: str, changes: dict[str, str], lab: Lab) -> Iterator[Took]:
    with (
        proxy_logs_restored(lab),
        edited(lab, HEADERS, changes, lambda: _header(lab, name)) as (before, after),
    ):
        yield Took(before, after)


def _header(lab: Lab, name: str) -> str:
    """A header as the start page and an unknown page have it."""
    with traffic.visiting(lab) as visitor:
        shown = [visitor.ask(path).all(name) for path in ("/", "/no-such-page")]
        framing = visitor.ask("/").all("content-security-policy")
    seen = f"{name} {shown[0]}, on the error page {shown[1]}"
    return f"{seen}, policy {framing}" if name == "x-frame-options" else seen


# Plain HTTP and the health endpoint.


def plain_http(changes: str) -> Callable[[Lab], Iterator[Took]]:
    """A fault that changes what port 80 answers."""
    return functools.partial(_plain_http, changes)


def _plain_http(replacement: str, lab: Lab) -> Iterator[Took]:
    changes = {r"return 301 https://\$host\$request_uri;": replacement}
    with proxy_logs_restored(lab), edited(lab, SITE, changes, lambda: _plain(lab)) as (before, after):
        yield Took(before, after)


def _plain(lab: Lab) -> str:
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", lab.http_port, timeout=traffic.LIMIT_SECONDS)
    try:
        connection.request("GET", "/?plain", headers={"Host": lab.domain, "User-Agent": traffic.AGENT})
        answer = connection.getresponse()
        return f"{answer.status} {answer.getheader('Location', '')}".strip()
    finally:
        connection.close()


def health_changed(replacement: str) -> Callable[[Lab], Iterator[Took]]:
    """A fault that changes what the site's health endpoint answers; the containers' own stay well."""
    return functools.partial(_health_changed, replacement)


def _health_changed(replacement: str, lab: Lab) -> Iterator[Took]:
    changes = {HEALTH_LOCATION: f"location /health/ {{\n        {replacement}"}
    with proxy_logs_restored(lab), edited(lab, SITE, changes, lambda: _health(lab)) as (before, after):
        yield Took(before, after)


def _health(lab: Lab) -> str:
    with traffic.visiting(lab) as visitor:
        answer = visitor.ask("/health/")
    location = answer.all("location")
    return f"{answer.status} {location[0] if location else answer.body[:100].decode(errors='replace')}"


# What is asked of Django inside of a backend.
DJANGO = (
    *(f"admin-commands[{name}]" for name in ("createsuperuser", "clearcache", "migrate")),
    "migrations-applied",
    "deploy-check",
)
ANSWERS = (
    Fault(
        "site-500",
        # A table is missed: by the backend, and where the backup is held against the live database.
        (STATUS, "log-anomalies", "restore-matches", "disaster-recovery"),
        "What the backend answers is 500.",
        backend_answers_500,
    ),
    Fault(
        "site-502",
        ("services-up[backend]", STATUS, "health-endpoint"),
        "No backend runs; what it should answer is 502, the start page is 200.",
        backends_down_502,
        ("python-dependencies-current", *DJANGO),
    ),
    Fault("site-redirect-loop", (START, SCAN), "The start page redirects to itself.", redirect_loop, ALL_HEADERS),
    Fault(
        "site-refused",
        (*NO_SITE, *NO_CERTIFICATE, "tls-configuration"),
        "Nobody listens on the site's port.",
        refused,
        ALL_HEADERS,
    ),
    Fault(
        "site-silent",
        (*NO_SITE, *NO_CERTIFICATE, "tls-configuration"),
        "The site accepts connections and never answers.",
        silent,
        ALL_HEADERS,
    ),
)
SECURITY_HEADERS = (
    *(
        Fault(
            f"header-absent-{name}",
            (f"security-header[{name}]", *((SCAN,) if name == "content-security-policy" else ())),
            f"No {name} is sent.",
            header_absent(name),
        )
        for name in HEADER_IDS
    ),
    Fault(
        "header-hsts-short",
        ("security-header[strict-transport-security]",),
        "Strict-Transport-Security is for a day only.",
        header_changed("strict-transport-security", {"max-age=31536000": "max-age=86400"}),
    ),
    Fault(
        "header-hsts-without-subdomains",
        ("security-header[strict-transport-security]",),
        "Strict-Transport-Security leaves subdomains out.",
        header_changed("strict-transport-security", {"; includeSubDomains": ""}),
    ),
    Fault(
        "header-csp-unsafe-inline",
        ("security-header[content-security-policy]",),
        "The content security policy allows inline scripts.",
        header_changed(
            "content-security-policy",
            {"default-src 'self'": "default-src 'self'; script-src 'self' 'unsafe-inline'"},
        ),
    ),
    Fault(
        "header-twice",
        ("security-header[referrer-policy]",),
        "Referrer-Policy is sent twice with different values.",
        header_changed("referrer-policy", {r"\Z": 'add_header Referrer-Policy "unsafe-url" always;\n'}),
    ),
    Fault(
        "header-missing-on-error-page",
        ("security-header[x-content-type-options]",),
        "X-Content-Type-Options is missing on the 404 page alone.",
        header_changed("x-content-type-options", {'"nosniff" always;': '"nosniff";'}),
    ),
)
PLAIN_HTTP = (
    Fault(
        "http-serves-content",
        ("http-redirects",),
        "Plain HTTP serves the start page.",
        plain_http("root /srv/www;\n    location = / {\n        try_files /index.html =404;\n    }"),
    ),
    Fault(
        "http-redirects-elsewhere",
        ("http-redirects",),
        "Plain HTTP redirects to another host.",
        plain_http("return 301 https://elsewhere.test$request_uri;"),
    ),
    Fault(
        "http-redirects-for-now",
        ("http-redirects",),
        "Plain HTTP redirects with 302, which no client remembers.",
        plain_http("return 302 https://$host$request_uri;"),
    ),
    Fault(
        "http-redirects-to-start",
        ("http-redirects",),
        "Plain HTTP redirects every path to the start page.",
        plain_http("return 301 https://$host/;"),
    ),
)
HEALTH = (
    Fault(
        "health-503",
        ("health-endpoint",),
        "The health endpoint answers 503.",
        health_changed('default_type application/json;\n        return 503 \'{"status":"error"}\';'),
    ),
    Fault(
        "health-redirects",
        ("health-endpoint",),
        "The health endpoint redirects to another host.",
        health_changed("return 301 https://elsewhere.test/health/;"),
    ),
    Fault(
        "health-says-not-ok",
        ("health-endpoint",),
        "The health endpoint answers 200 with a body that says it is not well.",
        health_changed('default_type application/json;\n        return 200 \'{"status":"error","failed":["redis"]}\';'),
    ),
)
FAULTS = (*ANSWERS, *SECURITY_HEADERS, *PLAIN_HTTP, *HEALTH)
