"""The settings of the site and of its logs, by what nginx's configuration says."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from discover import reach
from observe.log_format import LogFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from discover.draft import Draft
    from discover.proxy import Location, Server
    from discover.scene import Front, Scene

    Answers = Callable[[str], int]

_HEALTH = re.compile(r"/(?:[\w-]*health[\w-]*|livez|readyz|ping|status|up)/?$")
_LOGIN = re.compile(r"/(?:token|login|log-in|signin|sign-in|auth|session)s?(?:/|$)")
_ASSETS = re.compile(r"/(?:static|assets|media|favicon)|\.(?:js|css|png|jpe?g|svg|ico|txt|xml|webmanifest|map|woff2?)$")
_WILD = frozenset({"", "*", "0.0.0.0", "::", "[::]"})  # noqa: S104  compared, and nothing is bound
_OTHER_PROXIES = frozenset({"caddy", "traefik", "haproxy", "envoy", "httpd", "apache2"})
_ROOT = re.compile(r"/(?:[\w.-]+/)?(?:api|v\d+|version|schema|docs|openapi\.json)/?$")
"""Locations that are asked for though the log doesn't have them: nothing is done by looking at them."""
_DOES = re.compile(r"logout|log-out|signout|delete|remove|reset|cancel|trigger|cron|run|purge|flush|unsubscribe")
"""What a path is called that may do something when it is asked for."""
_TRIED = 5
"""So many paths are asked for, once each."""


def site(scene: Scene, draft: Draft) -> None:
    """The site: its name, the way there, its paths, its certificate."""
    if scene.chosen is None:
        _unknown(scene, draft)
        return
    front, server = scene.chosen
    names = ([scene.domain] if scene.domain else []) + [one for one in server.names if one != scene.domain]
    if not names:
        _unknown(scene, draft, f"The server {server.where} has no name. ")
        return
    given = "it was given" if scene.domain else f"server_name in {server.where}"
    others = sorted(
        {
            name
            for one in front.proxied.servers
            if one.tls and one is not server and scene.passes_here(front, one)
            for name in one.names
        }
        - set(names)
    )
    draft.found(
        "site.url", f"https://{names[0]}/", given + (f"; other sites here: {', '.join(others)}" if others else "")
    )
    way = _way(scene, draft, front, server, names[0])
    passed = [one for one in server.locations if any(scene.service_behind(front, target) for target in one.passes)]
    _paths(scene, draft, server, passed, reach.asker(f"https://{names[0]}/", way))
    _certificate(scene, draft, front, server)


def _unknown(scene: Scene, draft: Draft, why: str = "") -> None:
    example = f"https://{scene.domain or 'yourdomain.com'}/"
    if scene.domain:
        draft.found("site.url", example, "it was given")
    else:
        strange = [
            f"{one.service} runs {program}, whose configuration isn't read here. "
            for one in scene.seen
            for program in sorted(_OTHER_PROXIES & (one.processes | one.programs))
        ]
        looked = "No nginx that passes requests on to this stack was found, here or in a container. "
        why = why or "".join(dict.fromkeys(strange))
        draft.ask("site.url", example, f"{why or looked}What is the site's address?")
    draft.ask("site.paths", ["/", "/api/"], "Which paths answer 200: the start page, and one that the backend answers?")
    draft.ask("site.health", "/health/", "Which path answers whether all is well?")
    draft.ask("certificate.file", "/etc/letsencrypt/live/yourdomain.com/fullchain.pem", "Where does it lie?")


def _way(scene: Scene, draft: Draft, front: Front, server: Server, name: str) -> reach.Way | None:
    """How the site is reached from here: by the DNS, or else at the port that the proxy listens on; None for not."""
    addresses = reach.resolved(name)
    tls = _address(front, server.tls)
    if addresses:
        draft.mention("site.connect_to", tls or "127.0.0.1:443", f"{name} leads to {', '.join(addresses[:3])}")
    elif scene.elsewhere or not tls:
        draft.ask("site.connect_to", "192.0.2.7:443", f"{name} is in no DNS that is asked here. Where does it answer?")
        return None
    else:
        draft.found("site.connect_to", tls, f"{name} is in no DNS that is asked here; the proxy listens there")
        plain = [one for other in front.proxied.servers if name in other.names for one in other.plain]
        if http := _address(front, plain):
            draft.found("site.http_connect_to", http, "likewise")
    authority = _authority(scene, draft, front, server, name, f"{name}:443" if addresses else tls)
    return reach.Way("" if addresses else tls, authority)


def _address(front: Front, listens: Sequence[str]) -> str:
    """Where a proxy is reached from its own host, for the first of its addresses that can be."""
    for one in listens:
        host, _, port = one.rpartition(":") if re.search(r":\d+$|^\d+$", one) else (one, "", "80")
        if front.container is not None:
            bindings = front.container.published.get(int(port), ())
            for address, number in bindings:
                return f"{_named(address)}:{number}"
            continue
        return f"{_named(host)}:{port}"
    return ""


def _named(host: str) -> str:
    return "127.0.0.1" if host in _WILD else f"[{host}]" if ":" in host and not host.startswith("[") else host


def _authority(scene: Scene, draft: Draft, front: Front, server: Server, name: str, address: str) -> str:
    """The file of the site's own authority, where the system trusts nobody who has signed its certificate."""
    trust = reach.handshake(name, address)
    if trust.trusted is None:
        draft.unseen.append(f"https://{name}/ at {address}: {trust.why}")
    if trust.trusted or not trust.unknown:
        return ""
    around = scene.directory or "/"
    above = posixpath.dirname(around)
    places = [
        scene.on_host(front, server.authorities) if server.authorities else "",
        posixpath.dirname(scene.on_host(front, server.certificate)),
        *(around, above, posixpath.dirname(above), "/usr/local/share/ca-certificates"),
    ]
    found = reach.authority_for(name, address, scene.sight, [one for one in places if one])
    if found and not scene.elsewhere:
        draft.found("site.ca_file", found, "this system doesn't trust the site's certificate; with this file it does")
        return found
    draft.ask("site.ca_file", "ca.pem", f"This system doesn't trust the certificate ({trust.why}). Who is its CA?")
    return ""


def _paths(scene: Scene, draft: Draft, server: Server, passed: Sequence[Location], answers: Answers) -> None:
    health = _health(scene, draft, passed, answers)
    admin = next((one for one in passed if "admin" in one.path), None)
    start = answers("/")
    paths = ["/"] if start in {200, 0} or start >= 500 else []
    likely = _likely(scene, server, passed, [health, *([admin.path] if admin else [])])
    best = next((one for one in likely[:_TRIED] if answers(one) == 200), "")
    if best:
        often = scene.asked.well.get(best, 0)
        logged = f", and {often} times in {scene.asked.lines:,} lines of the log" if often else ""
        draft.found("site.paths", [*paths, best], f"{best} goes to the backend and answered 200 just now{logged}")
    elif health:
        tried = len(likely[:_TRIED])
        why = f"of {tried} other paths that the backend gets, none answered 200 just now"
        draft.found("site.paths", [*paths, health], why if tried else "no other path is known that the backend answers")
    else:
        draft.ask("site.paths", ["/", "/api/"], "Which paths answer 200, at least one of them by the backend itself?")
    if admin is not None:
        draft.found("site.admin_path", admin.path, f"location in {admin.where}")
    _logins(scene, draft, passed, admin)
    draft.ask("site.admin_networks", ["192.0.2.0/24"], "From which networks is the admin area used?")


def _likely(scene: Scene, server: Server, passed: Sequence[Location], but: Sequence[str]) -> list[str]:
    """Paths that the backend answers, those first that are answered well the most often."""
    found = [path for path, _ in sorted(scene.asked.well.items(), key=lambda one: (-one[1], one[0]))]
    found += [one.path for one in passed if _ROOT.search(one.path)]
    return [
        one
        for one in dict.fromkeys(found)
        if one != "/"
        and not (_ASSETS.search(one) or _DOES.search(one) or _LOGIN.search(one))
        and not any(other and one.startswith(other) for other in but)
        and _location_of(one, server.locations) in passed
    ]


def _health(scene: Scene, draft: Draft, passed: Sequence[Location], answers: Answers) -> str:
    """The path that says whether all is well, empty where nothing tells."""
    like = [(one.path, f"location in {one.where}") for one in passed if _HEALTH.search(one.path)]
    like.sort(key=lambda one: "health" not in one[0])
    checks = [(one.health_path, f"the health check of {one.service} asks for it") for one in scene.seen]
    like += [one for one in checks if one[0] and _location_of(one[0], passed)]
    if not like:
        draft.ask("site.health", "/health/", "Which path answers whether all is well?")
        return ""
    path, why = like[0]
    status = answers(path)
    draft.found("site.health", path, f"{why}; it answered {status} just now" if status else why)
    return path


def _location_of(path: str, locations: Sequence[Location]) -> Location | None:
    """The location that a path belongs to, as nginx picks it."""
    exact = next((one for one in locations if one.exact and one.path == path), None)
    prefixes = [one for one in locations if not one.exact and path.startswith(one.path)]
    return exact or max(prefixes, key=lambda one: len(one.path), default=None)


def _logins(scene: Scene, draft: Draft, passed: Sequence[Location], admin: Location | None) -> None:
    of_proxy = [one.path for one in passed if _LOGIN.search(one.path)]
    of_log = [path for path, times in scene.asked.posted.items() if _LOGIN.search(path) and times > 1]
    found = sorted({*of_proxy, *of_log, *([f"{admin.path.rstrip('/')}/login/"] if admin else [])})
    least = [one for one in found if not any(one != other and one.startswith(other) for other in found)]
    if of_proxy or of_log:
        draft.found("site.login_paths", least, "by nginx's locations, and by what is posted to")


def _certificate(scene: Scene, draft: Draft, front: Front, server: Server) -> None:
    if not server.tls:
        draft.found("certificate.on_disk", value=False, why=f"{server.where} has no TLS: somebody else ends it")
        return
    if "$" in server.certificate or not server.certificate.startswith("/"):
        draft.ask("certificate.file", "fullchain.pem", f"nginx has {server.certificate or 'none'}. Where does it lie?")
        return
    path = scene.on_host(front, server.certificate)
    if not path:
        why = f"{server.certificate} lies in the container {front.inside} alone"
        draft.found("certificate.on_disk", value=False, why=why)
        return
    draft.found("certificate.file", path, f"ssl_certificate of {server.where}{_doubt(scene, path)}")


def _doubt(scene: Scene, path: str) -> str:
    """What is wrong with a file as it is seen from here, as the tail of a sentence; empty if it can be read."""
    try:
        with scene.sight.path(path).open("rb") as file:
            file.read(1)
    except FileNotFoundError:
        return f"; it isn't there on {scene.sight.where}"
    except OSError as error:
        scene.unseen.append(f"{path}: {error.strerror or error}")
        return f"; this user can't read it: {error.strerror or error}"
    return ""


def logs(scene: Scene, draft: Draft) -> None:
    """The logs that lie in files, the format of the access log, and what a refused client gets."""
    if scene.chosen is None:
        draft.ask("logs.access", "/var/log/nginx/access.log", "Where does the proxy log requests?")
        draft.ask("logs.error", "/var/log/nginx/error.log", "Where does it log errors?")
        return
    front, server = scene.chosen
    reasons = []
    for log in server.access:
        path, why = scene.log_file(front, log)
        if path:
            draft.found("logs.access", path, f"access_log in {log.where}{_doubt(scene, path)}")
            _form(draft, front, log.form)
            break
        reasons.append(why)
    else:
        said = "; ".join(reasons) or f"{server.where} logs no requests"
        draft.ask("logs.access", "/var/log/nginx/access.log", f"{said}. Without a file, the backend's log is read.")
    if server.error is not None:
        path, why = scene.log_file(front, server.error)
        if path:
            draft.found("logs.error", path, f"error_log in {server.error.where}{_doubt(scene, path)}")
        else:
            draft.ask("logs.error", "/var/log/nginx/error.log", f"{why}. Does it lie in a file as well?")
    else:
        draft.ask("logs.error", "/var/log/nginx/error.log", "No error_log is configured. Where does it lie?")
    for path, where in _admin_logs(scene, front, server):
        draft.found("logs.admin", path, f"access_log in {where}{_doubt(scene, path)}")
        break
    refusals = sorted(server.refusals)
    if len(refusals) == 1:
        draft.found("logs.refused_status", refusals[0], "limit_req_status, or nginx's own where it isn't set")
    elif refusals:
        said = " and ".join(map(str, refusals))
        draft.ask("logs.refused_status", refusals[0], f"limit_req answers {said}, by location. Which one counts?")


def _admin_logs(scene: Scene, front: Front, server: Server) -> Iterator[tuple[str, str]]:
    for one in server.locations:
        if (
            "admin" in one.path
            and one.access is not None
            and one.access.path not in {log.path for log in server.access}
        ):
            path, _ = scene.log_file(front, one.access)
            if path:
                yield path, one.access.where


def _form(draft: Draft, front: Front, name: str) -> None:
    if name == "combined":
        draft.found("logs.access_format", "combined", "nginx's own")
        return
    words = front.proxied.formats.get(name, ())
    escape = next((one for one in words if one.startswith("escape=")), "")
    text = "".join(one for one in words if one != escape)
    if escape:
        text = f"log_format {name} {escape} '{text}';"
    try:
        LogFormat.compile(text)
    except ValueError as error:
        draft.ask("logs.access_format", text, f"log_format {name} can't be read here: {error}. Can it be another one?")
        return
    draft.found("logs.access_format", text, f"log_format {name}")
