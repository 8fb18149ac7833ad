"""The dynamic scan: what the gate lets through, what the scanners' reports say, when nothing found means anything."""

from __future__ import annotations

import http.client
import io
import json
import socket
import ssl
import tarfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import packages
from lab.base_image import BASE, ensure_base
from lab.progress import LabError
from observe.engine import Engine
from observe.errors import CannotTell, NoAnswer
from observe.own_traffic import OwnTraffic
from observe.scan import gate as gate_module
from observe.scan import wapiti, zap
from observe.scan.findings import Finding, Report, Scan, bounded, local
from observe.scan.gate import CUT, ELSEWHERE, LEFT_OUT, WRITES, Bounds, Gate, Passed
from observe.scan.scanner import scan
from observe.site import Site
from proofs.observe.servers import NAME, Authority, Http, Loopback, answer, silent
from report.history import History
from report.history_file import HistoryFile
from target import model
from target.kinds import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

URL = f"https://{NAME}/"
BOUNDS = Bounds(
    "the-agent (run 1)", requests=50, per_second=1000, seconds=60, answer=5, leave_out=("/admin/", "/api/x")
)
HTML = ("Content-Type", "text/html")


@pytest.fixture(scope="module")
def site_at(authority: Authority) -> Callable[..., Site]:
    def site_at(address: str, **given: Any) -> Site:  # noqa: ANN401  Site's own
        return Site(URL, "x", 5, **{"ca_file": authority.file, "connect_to": address, **given})

    return site_at


SiteAt = Any
"""What the fixture gives."""


def through(gate: Gate, path: str, method: str = "GET", to: str = NAME, port: int = 443) -> tuple[int, bytes] | None:
    """What comes back through a gate; None when it hangs up."""
    untrusting = ssl._create_unverified_context()  # noqa: S323  as a scanner does
    connection = http.client.HTTPSConnection("127.0.0.1", gate.port, timeout=10, context=untrusting)
    connection.set_tunnel(to, port)
    try:
        connection.request(method, path, headers={"User-Agent": "scanner", "X-Else": "kept"})
        said = connection.getresponse()
        return said.status, said.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


# What the gate lets through.


def test_what_reads_goes_through_under_the_run_s_own_name(tls: ssl.SSLContext, site_at: SiteAt) -> None:
    pages = Http({"/": answer(200, "hello", HTML), "/s?q=1": answer(200, "found"), "/caf%E9": answer(403)})
    with Loopback(pages, tls) as server, Gate(site_at(server.address), BOUNDS) as gate:
        assert through(gate, "/") == (200, b"hello")
        assert through(gate, "/s?q=1") == (200, b"found")
        assert through(gate, "/", "HEAD") == (200, b"")
        assert through(gate, "/caf%E9") == (403, b"")
        passed = gate.passed()
    assert (passed.requests, passed.pages, passed.with_query) == (4, 2, 1)
    assert passed.answers == {200: 3, 403: 1}
    assert passed.refused == {}
    assert passed.refused_paths == {"/caf\N{REPLACEMENT CHARACTER}"}, "as an application logs it"
    assert {one.headers["user-agent"] for one in pages.asked} == {BOUNDS.agent}
    assert {one.headers["host"] for one in pages.asked} == {NAME}
    assert {one.headers["x-else"] for one in pages.asked} == {"kept"}


def test_nothing_else_reaches_the_site_or_another(tls: ssl.SSLContext, site_at: SiteAt) -> None:
    pages = Http({"/": answer(200)})
    with Loopback(pages, tls) as server, Gate(site_at(server.address), BOUNDS) as gate:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            assert through(gate, "/", method) is None
        assert through(gate, "/admin/users/") is None
        assert through(gate, "/", to="elsewhere.test") is None
        assert through(gate, "/", port=8443) is None
        plain = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=10)
        plain.request("GET", URL.replace("https", "http"))
        with pytest.raises(http.client.HTTPException):
            plain.getresponse()
        plain.close()
        passed = gate.passed()
    assert pages.asked == []
    assert passed.requests == 0
    assert passed.refused == {WRITES: 5, LEFT_OUT: 1, ELSEWHERE: 3}


@pytest.mark.parametrize(
    "path",
    [
        *("/admin/", "/admin", "/ADMIN/x", "//admin/", "/./admin/", "/a/../admin/x?y=1", "/%61dmin/", "/%2561dmin/"),
        *("/admin%2Fx", "/\\admin/", "/api/x", "/api/xyz?a=b"),
    ],
)
def test_what_is_left_out_is_so_however_it_is_written(path: str) -> None:
    assert BOUNDS.leaves_out(path)


@pytest.mark.parametrize("path", ["/", "/administrators", "/api/", "/?next=/admin/", "/x/admin/"])
def test_what_only_looks_like_it_is_not_left_out(path: str) -> None:
    assert not BOUNDS.leaves_out(path)


@given(st.lists(st.booleans(), min_size=7, max_size=7), st.text(max_size=20))
def test_no_escaping_gets_round_it(escaped: list[bool], behind: str) -> None:
    begins = "".join(f"%{ord(one):02x}" if hide else one for one, hide in zip("/admin/", escaped, strict=True))
    target = "/" + begins.removeprefix("/") + quote(behind, safe="")
    # What goes up again leads elsewhere.
    assert BOUNDS.leaves_out(target) or ".." in behind or "\\" in behind


def test_after_so_many_requests_nothing_is_let_through(tls: ssl.SSLContext, site_at: SiteAt) -> None:
    pages = Http({"/": answer(200)})
    with Loopback(pages, tls) as server, Gate(site_at(server.address), Bounds("a", 2, 1000, 60, 5)) as gate:
        assert [through(gate, "/") for _ in range(4)] == [(200, b""), (200, b""), None, None]
        passed = gate.passed()
    assert len(pages.asked) == 2
    assert (passed.requests, passed.cut, passed.refused) == (2, "requests", {CUT: 2})


def test_after_its_time_nothing_is_let_through(tls: ssl.SSLContext, site_at: SiteAt) -> None:
    pages = Http({"/": answer(200)})
    with Loopback(pages, tls) as server, Gate(site_at(server.address), Bounds("a", 9, 1000, 0, 5)) as gate:
        assert through(gate, "/") is None
        assert (gate.passed().cut, pages.asked) == ("time", [])


def test_requests_wait_for_their_turn(site_at: SiteAt, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    gate = Gate(site_at("127.0.0.1:9"), Bounds("a", 9, 4, 60, 5))
    gate._ends = 160.0
    monkeypatch.setattr(gate_module, "time", SimpleNamespace(monotonic=lambda: 100.0, sleep=slept.append))
    assert all(gate.lets_through("/") for _ in range(3))
    assert slept == [0.0, 0.25, 0.5]


def test_who_is_not_the_site_is_not_asked(tmp_path: Path, site_at: SiteAt) -> None:
    pages = Http({"/": answer(200)})
    with (
        Loopback(pages, Authority(tmp_path, "Other").context()) as server,
        Gate(site_at(server.address), BOUNDS) as gate,
    ):
        assert through(gate, "/") is None
        passed = gate.passed()
    assert (passed.unanswered, passed.turned_away, passed.answers, pages.asked) == (1, 1, {}, [])


def test_a_silent_site_costs_its_limit(tls: ssl.SSLContext, site_at: SiteAt) -> None:
    with Loopback(silent, tls) as server, Gate(site_at(server.address), Bounds("a", 9, 1000, 60, 0.2)) as gate:
        assert through(gate, "/") is None
        assert gate.passed().unanswered == 1


def test_noise_on_the_gate_s_port_does_no_harm(tls: ssl.SSLContext, site_at: SiteAt) -> None:
    with Loopback(Http({"/": answer(200)}), tls) as server, Gate(site_at(server.address), BOUNDS) as gate:
        for noise in (b"\x00\xff\r\n\r\n", b"CONNECT\r\n\r\n", b"CONNECT site.test:443 HTTP/1.1\r\n\r\nno TLS", b""):
            with socket.create_connection(("127.0.0.1", gate.port), timeout=5) as connection:
                connection.sendall(noise)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
        assert through(gate, "/") == (200, b"")


# Wapiti.

OF_3_0_4 = {
    "classifications": {},
    "vulnerabilities": {
        "Backup file": [],
        "HTTP Secure Headers": [
            {"method": "GET", "path": "/", "info": "X-XSS-Protection is not set", "level": 1, "parameter": "",
             "http_request": "GET / HTTP/1.1\nHost: site.test", "curl_command": 'curl "https://site.test/"'},
            {"method": "GET", "path": "/", "info": "X-Frame-Options is not set", "level": 1, "parameter": "",
             "http_request": "GET / HTTP/1.1\nHost: site.test", "curl_command": 'curl "https://site.test/"'},
        ],
        "Content Security Policy Configuration": [
            {"method": "GET", "path": "/", "info": "CSP is not set", "level": 1, "parameter": ""},
        ],
        "Cross Site Scripting": [
            {"method": "GET", "path": "/greet/", "level": 2, "parameter": "name",
             "info": "XSS vulnerability found via injection in the parameter name.\nWarning: a policy is present!",
             "curl_command": 'curl "https://site.test/greet/?name=%3CScRiPt%3E"'},
        ],
    },
    "anomalies": {"Internal Server Error": [{"method": "GET", "path": "/e", "info": "500", "level": "2"}]},
    "additionals": {},
    "infos": {"version": "Wapiti 3.0.4"},
}  # fmt: skip
"""As Wapiti 3.0.4 writes it, shortened."""


def test_a_report_of_wapiti_is_read_and_rated() -> None:
    found = wapiti.findings(OF_3_0_4)
    assert [(one.risk, one.name, one.where) for one in found] == [
        ("medium", "Content Security Policy Configuration", "GET /"),
        ("medium", "Cross Site Scripting", "GET /greet/, parameter name"),
        ("medium", "Internal Server Error", "GET /e"),
        ("low", "HTTP Secure Headers", "GET /"),
        ("info", "HTTP Secure Headers", "GET /"),
    ]
    assert found[1].said == "XSS vulnerability found via injection in the parameter name. Warning: a policy is present!"
    assert found[1].repeat == 'curl "https://site.test/greet/?name=%3CScRiPt%3E"'
    later = {"vulnerabilities": {"R": [{"level": 4, "path": "/", "wstg": ["WSTG-INPV-01", "X"]}]}, "anomalies": {}}
    assert [(one.risk, one.about) for one in wapiti.findings(later)] == [("critical", "WSTG-INPV-01, X")]


@pytest.mark.parametrize("level", [None, "much", [], 2.5])
def test_what_is_not_rated_is_not_overlooked(level: object) -> None:
    (found,) = wapiti.findings({"vulnerabilities": {"Odd": [{"level": level}]}, "anomalies": {}})
    assert (found.risk, found.where) == ("high", "GET /")


def test_what_a_page_says_is_bounded() -> None:
    odd = {"level": 1, "path": "/" + "p" * 9000, "info": "i\n" * 9000, "parameter": "q" * 9000, "method": "M" * 9000}
    (found,) = wapiti.findings({"vulnerabilities": {"n" * 9000: [odd]}, "anomalies": {}})
    assert all(len(text) < 600 for text in found.row().values())
    many = {"vulnerabilities": {"x": [{"level": 0}] * 5000 + [{"level": 4}]}, "anomalies": {}}
    assert len(wapiti.findings(many)) == 1000
    assert wapiti.findings(many)[0].risk == "critical", "the worst are kept"
    assert local("https://[") == "https://["
    assert bounded(7) == ""


@pytest.mark.parametrize("content", [None, [], {}, {"vulnerabilities": {}}, {"vulnerabilities": [], "anomalies": {}}])
def test_what_is_no_report_is_not_read_as_nothing_found(content: object) -> None:
    with pytest.raises(CannotTell, match="not even none"):
        wapiti.findings(content)


def program(directory: Path, script: str) -> str:
    file = directory / "wapiti"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo some other program", "is not Wapiti, or is broken: some other program"),
        ("echo Wapiti-3.0.4; echo Traceback; exit 1", "is not Wapiti, or is broken: Traceback"),
        ("echo 'Wapiti-2.3.0 [--scope]'", "is Wapiti 2.3.0, which doesn't know --format, --module, "),
    ],
)
def test_what_is_not_a_known_wapiti_is_said(tmp_path: Path, script: str, says: str) -> None:
    with pytest.raises(CannotTell, match=says) as caught:
        wapiti.installed(program(tmp_path, script))
    assert "apt-get install wapiti" in caught.value.mend


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo it broke; exit 3", "Wapiti 3.9 wrote no report; it ended with status 3: it broke"),
        ('while [ "$1" != --output ]; do shift; done; echo "{" >"$2"', "report is no JSON; it ended with status 0"),
        ("exec sleep 60", "did not end within 0.3 s, and was ended"),
    ],
)
def test_a_wapiti_without_a_report_is_no_scan(tmp_path: Path, script: str, says: str) -> None:
    of_it = wapiti.Wapiti(program(tmp_path, script), "3.9", frozenset())
    there: Any = SimpleNamespace(url="http://127.0.0.1:9")
    with pytest.raises(CannotTell, match=says):
        of_it.scan(there, URL, ["/"], ["xss"], 0.3 if "sleep" in script else 20)


def test_a_later_version_is_kept_from_looking_up_its_makers(tmp_path: Path) -> None:
    script = 'for word; do [ "$word" = --output ] || continue; done; echo "$@"; exit 1'
    there: Any = SimpleNamespace(url="http://127.0.0.1:9")
    for options in (frozenset[str](), frozenset({"--dns-endpoint"})):
        with pytest.raises(CannotTell) as caught:
            wapiti.Wapiti(program(tmp_path, script), "3.9", options).scan(there, URL, ["/a"], ["xss", "csp"], 20)
        assert caught.value.what.startswith("Wapiti 3.9 wrote no report")
        command = wapiti.Wapiti("w", "3.9", options)._command(there, URL, ["/a"], ["xss", "csp"], "/t", tmp_path)
        assert ("--dns-endpoint" in command) == bool(options)
        assert ("--no-bugreport" in command, command[command.index("--start") + 1]) == (True, f"{URL}a")
        assert command[command.index("--module") + 1] == "xss,csp"


# ZAP. Its image can't be had here: the report is made by hand in the shape of its "traditional JSON report", and its
# container is a stand-in's.

OF_ZAP = {
    "@programName": "ZAP",
    "@version": "2.16.1",
    "@generated": "Fri, 27 Nov 2026 06:39:28",
    "site": [
        {
            "@name": "https://site.test", "@host": "site.test", "@port": "443", "@ssl": "true",
            "alerts": [
                {
                    "pluginid": "10038", "alertRef": "10038-1", "alert": "Content Security Policy (CSP) Header Not Set",
                    "name": "Content Security Policy (CSP) Header Not Set", "riskcode": "2", "confidence": "3",
                    "riskdesc": "Medium (High)", "desc": "<p>…</p>", "count": "2", "cweid": "693", "wascid": "15",
                    "instances": [
                        {"uri": "https://site.test/", "method": "GET", "param": "", "attack": "", "evidence": ""},
                        {"uri": "https://site.test/a?b=c", "method": "GET", "param": "b", "evidence": "<form>"},
                    ],
                },
                {"pluginid": "10109", "name": "Modern Web Application", "riskcode": "0", "cweid": "-1"},
            ],
        }
    ],
}  # fmt: skip


def test_a_report_of_zap_is_read() -> None:
    found = zap.findings(OF_ZAP)
    assert [(one.risk, one.where, one.about, one.said) for one in found] == [
        ("medium", "GET /", "CWE-693", ""),
        ("medium", "GET /a?b=c, parameter b", "CWE-693", "<form>"),
        ("info", "GET /", "", ""),
    ]
    assert zap.findings({"site": []}) == ()
    alone = {"site": {"alerts": [{"name": "x", "riskcode": 3}, {"name": "y", "riskcode": "?"}]}}
    assert [one.risk for one in zap.findings(alone)] == ["high", "high"]


@pytest.mark.parametrize("content", [None, [], {}, {"site": "x"}])
def test_what_is_no_report_of_zap_is_not_read_as_nothing_found(content: object) -> None:
    with pytest.raises(CannotTell, match="no site in it"):
        zap.findings(content)


STAND_IN = r"""#!/bin/bash
printf '%s\n' "$@" >/zap/wrk/words
port=$(printf '%s' "$*" | sed 's/.*httpProxy.port=\([0-9]*\).*/\1/')
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET http://elsewhere.test/ HTTP/1.1\r\n\r\n' >&3
cat <&3
@ends@
"""


@contextmanager
def zap_image(ends: str) -> Iterator[str]:
    """An image of ours with something in it that is called as ZAP's baseline is."""
    import docker

    ensure_base()
    client = docker.from_env(timeout=60)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        content = STAND_IN.replace("@ends@", ends).encode()
        member = tarfile.TarInfo("usr/local/bin/zap-baseline.py")
        member.size, member.mode = len(content), 0o755
        archive.addfile(member, io.BytesIO(content))
    made = client.containers.create(BASE)
    image = None
    try:
        made.put_archive("/", packed.getvalue())
        image = made.commit("operations-checks-zap-stand-in", made.id[:12])
        yield f"operations-checks-zap-stand-in:{made.id[:12]}"
    finally:
        made.remove(force=True)
        if image is not None:
            client.images.remove(image.id, force=True)
        client.close()


@pytest.mark.parametrize(
    ("ends", "says"),
    [
        (f"cat >/zap/wrk/report.json <<'END'\n{json.dumps(OF_ZAP)}\nEND\nexit 2", ""),
        ("echo 'Failed to start ZAP :('; exit 3", "ZAP wrote no report; it ended with status 3: Failed to start ZAP"),
        ("exec sleep 60", "ZAP did not end within 1.5 s, and was ended"),
    ],
)
def test_zap_runs_in_a_container_that_is_gone_afterwards(
    ends: str, says: str, tls: ssl.SSLContext, site_at: SiteAt
) -> None:
    import docker

    engine = Engine("", 20)
    with (
        zap_image(ends) as image,
        Loopback(Http({}), tls) as server,
        Gate(site_at(server.address), BOUNDS) as gate,
    ):
        assert zap.has_image(engine, image)
        if says:
            with pytest.raises(CannotTell, match=says):
                zap.scan(engine, image, gate, URL, "token", 1.5 if "sleep" in ends else 20)
        else:
            report = zap.scan(engine, image, gate, URL, "token", 20)
            assert (report.scanner, len(report.findings)) == ("ZAP 2.16.1's baseline", 3)
        assert gate.passed().refused == {ELSEWHERE: 1}, "it came to the gate"
        left = docker.from_env().containers.list(all=True, filters={"label": f"{zap.LABEL}=token"})
        assert left == []
    engine.close()


# When nothing found means anything.


def passed(**changes: Any) -> Passed:  # noqa: ANN401  Passed's own
    usual: dict[str, Any] = {"requests": 100, "pages": 7, "with_query": 2, "answers": {200: 98, 404: 2}}
    return Passed(**{**usual, "unanswered": 0, "refused": {}, "cut": "", **changes})


LOW = Finding(Severity("low"), "Something", "GET", "/")
HIGH = Finding(Severity("high"), "Worse", "GET", "/x", "q", "it is so")


def scanned(*found: Finding, ran: tuple[str, ...] = ("csp", "xss"), **changes: Any) -> Scan:  # noqa: ANN401
    return Scan(URL, Report("Wapiti 3", found, ran, ("csp", "xss")), passed(**changes), 4.0)


def test_nothing_found_by_a_whole_scan_holds() -> None:
    seen = scanned(LOW)
    assert seen.judged(Severity("medium"), 0.95) == ()
    assert seen.said(()) == "nothing, and 1 finding below that risk"
    assert scanned().said(()) == "nothing"
    assert seen.looked_at == (
        f"7 pages of {URL}, 2 of them with parameters; 100 requests in 4 s, by Wapiti 3 (2 modules: csp, xss)"
    )
    assert seen.notes == ()
    assert scanned(answers={200: 96, 503: 4}).judged(Severity("low"), 0.95) == ()


@pytest.mark.parametrize(
    ("changes", "says", "mend"),
    [
        ({"cut": "requests", "refused": {CUT: 9}}, "scan.requests was reached, and 9 more were asked", "scan.requests"),
        ({"cut": "time", "refused": {CUT: 1}}, "timeouts.scan was reached", "timeouts.scan"),
        ({"pages": 0, "answers": {503: 3}, "requests": 3}, "saw no page of .*answers: 3 of 503", "scan.start"),
        ({"pages": 0, "answers": {301: 2}, "requests": 2}, "saw no page of .*answers: 2 of 301", "site.url"),
        ({"pages": 0, "answers": {}, "requests": 0}, "0 requests, answers: nothing at all", "scan.start"),
        ({"ran": ("csp",)}, "did not run xss", "scan.modules"),
        ({"answers": {200: 94, 429: 3}, "unanswered": 3}, "turned 6 of 100 requests away", "scan.per_second"),
    ],
)
def test_nothing_found_by_a_scan_that_has_not_looked_is_not_told(changes: Any, says: str, mend: str) -> None:  # noqa: ANN401
    seen = scanned(LOW, **changes)
    with pytest.raises(CannotTell, match=says) as caught:
        seen.judged(Severity("medium"), 0.95)
    assert mend in caught.value.mend
    # What was found, was found.
    assert scanned(HIGH, LOW, **changes).judged(Severity("medium"), 0.95) == (HIGH,)


def test_what_was_found_is_said() -> None:
    assert scanned(HIGH, LOW).said((HIGH,)) == (
        "Worse (high) at GET /x, parameter q: it is so; besides 1 finding below that risk"
    )
    assert scanned(*[HIGH] * 5).said((HIGH,) * 5).endswith(" and 2 more")
    refused = {ELSEWHERE: 1, LEFT_OUT: 2, WRITES: 3}
    notes = scanned(refused=refused, with_query=0).notes
    assert [note.partition(" were")[0] for note in notes[:3]] == [
        "1 requests for another place than the site",
        "2 requests for what is left out (admin area, logins, scan.leave_out)",
        "3 requests that could have changed something",
    ]
    assert "scan.start" in notes[3]


# All of it, with the real scanner.


@pytest.fixture(scope="module")
def no_engine() -> Engine:
    return Engine("unix:///nowhere/docker.sock", 2)


class Greets(Http):
    """Shows what stands in its address as it stands there."""

    def __call__(self, connection: socket.socket) -> None:
        head = connection.recv(65536).decode("latin-1")
        target = head.split(" ")[1]
        from urllib.parse import unquote_plus

        path, _, query = target.partition("?")
        body = '<html><body><a href="/greet?name=Ada">greet</a><a href="/admin/">in</a></body></html>'
        if path == "/greet":
            body = f"<html><body><p>Hello {unquote_plus(query.partition('=')[2])}</p></body></html>"
        known = path in {"/", "/greet"}
        connection.sendall(answer(200 if known else 404, body if known else "no", HTML, ("Connection", "close")))


def test_wapiti_finds_a_reflected_script_and_a_missing_policy(
    tls: ssl.SSLContext, site_at: SiteAt, no_engine: Engine
) -> None:
    packages.ensure_wapiti()
    asked: list[frozenset[str]] = []
    with Loopback(Greets({}), tls) as server:
        seen = scan(
            site_at(server.address),
            no_engine,
            model.Scan(),
            Bounds("a", 500, 1000, 60, 5, ("/admin/",)),
            token="t",  # noqa: S106  a run's mark
            seconds=60,
            remember=asked.append,
        )
    found = {one.name: one for one in seen.judged(Severity("medium"), 0.95)}
    assert {"Content Security Policy Configuration"} < set(found)
    script = next(one for name, one in found.items() if "Cross Site Scripting" in name)
    assert (script.path, script.parameter) == ("/greet", "name")
    assert set(seen.report.ran) == set(model.Scan().modules)
    assert seen.passed.refused.get(LEFT_OUT), "the admin area is linked, and was not asked for"
    assert seen.passed.pages == 2
    assert len(asked) == 1


def unscanned(site: Site, engine: Engine, **settings: Any) -> str:  # noqa: ANN401  model.Scan's own
    """Why there was no scan."""
    with pytest.raises(CannotTell) as caught:
        scan(site, engine, model.Scan(**settings), BOUNDS, token="t", seconds=9, remember=print)  # noqa: S106
    return f"{caught.value.what}. {caught.value.mend}"


def test_without_a_scanner_it_is_said_how_to_get_one(tls: ssl.SSLContext, site_at: SiteAt, no_engine: Engine) -> None:
    with Loopback(Http({"/": answer(200)}), tls) as server:
        site = site_at(server.address)
        neither = unscanned(site, no_engine, wapiti="no-such-wapiti")
        assert "no no-such-wapiti on this machine, and the engine has no image ghcr.io/zaproxy" in neither
        assert "apt-get install wapiti" in neither
        assert "docker pull ghcr.io/zaproxy/zaproxy:stable" in neither
        alone = unscanned(site, no_engine, scanner="wapiti", wapiti="no-such-wapiti")
        assert alone.startswith("there is no scanner: there is no no-such-wapiti on this machine. ")
        assert "the engine can't be reached" in unscanned(site, no_engine, scanner="zap")
        engine = Engine("", 10)
        wanted = unscanned(site, engine, scanner="zap", image="nowhere.test/zap:none")
        assert "has no image nowhere.test/zap:none, and none is pulled by a run" in wanted
        engine.close()


def test_a_site_with_nothing_to_begin_with_is_not_scanned(
    tls: ssl.SSLContext, site_at: SiteAt, no_engine: Engine
) -> None:
    with Loopback(Http({"/": answer(503)}), tls) as server:
        site = site_at(server.address)
        assert "is answered 503, so that there is nothing to begin with" in unscanned(site, no_engine)
    gone = site_at("127.0.0.1:9")
    with pytest.raises(NoAnswer):
        scan(gone, no_engine, model.Scan(), BOUNDS, token="t", seconds=9, remember=print)  # noqa: S106


@pytest.mark.parametrize(("user", "apt"), [(1000, "/usr/bin/apt-get"), (0, None)])
def test_a_lab_without_a_scanner_says_how_to_get_one(
    user: int, apt: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: apt if name == "apt-get" else None)
    monkeypatch.setattr("os.geteuid", lambda: user)
    with pytest.raises(LabError, match=r"wapiti isn't installed, .* install it with: pipx install wapiti3"):
        packages.ensure_wapiti()


# What it leaves in the application's log.


def test_what_the_scan_was_refused_is_its_own_while_its_run_was_on(tmp_path: Path) -> None:
    now = datetime(2026, 11, 27, 6, 40, tzinfo=UTC)
    history, token, later = History(HistoryFile(tmp_path / "history.sqlite")), "ab" * 16, timedelta(minutes=2)
    history.begin(token, "t", now)
    history.remember_scanned(token, ["/greet/zqxjMade.html", "/greet/zqxjMade.html", "/café"])
    history.end(token, now + timedelta(minutes=1))
    assert history.scanned(now + timedelta(hours=2)) == {}
    own = OwnTraffic(history.runs(now), frozenset(), history.scanned(now))
    assert own.in_message("Not Found: /greet/zqxjMade.html", now)
    assert own.in_message("Bad Request: /café", now)
    assert not own.in_message("Not Found: /greet/zqxjMade.html", now + later), "by then it was over"
    assert not own.in_message("Not Found: /greet/zqxjMade.html"), "nobody knows when"
    assert not own.in_message("Not Found: /greet/zqxjMade.html.bak", now)
    assert not own.in_message("Not Found: /greet/", now)
