"""The site as a user reaches it: real servers on loopback, good ones and bad ones."""

from __future__ import annotations

import gzip
import time
from socket import MSG_PEEK
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from observe.errors import CannotTell, NoAnswer
from observe.health import HealthEndpoint
from observe.site import MOST_BODY, Page, Site, error_page, redirect_trouble
from proofs.observe.servers import DAY, NAME, Authority, Http, Loopback, answer, dripping, redirect, silent

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

URL = f"https://{NAME}/"
SECONDS = 0.3
"""A limit to run into; what is good has more time, on a busy machine too."""


@pytest.fixture
def visit(authority: Authority) -> Iterator[Callable[..., Site]]:
    """A site whose name leads to a server of ours."""
    sites = []

    def visit(server: Loopback | str, url: str = URL, **arguments: Any) -> Site:  # noqa: ANN401  Site's own
        address = server if isinstance(server, str) else server.address
        arguments = {"ca_file": authority.file, "connect_to": address, "seconds": 5, **arguments}
        sites.append(Site(url, "the-agent (run 123)", **arguments))
        return sites[-1]

    yield visit
    for site in sites:
        site.close()


Visit = Any
"""What the fixture gives; its arguments are Site's."""


def failure(site: Site, path: str = "/") -> NoAnswer:
    with pytest.raises(NoAnswer) as raised:
        site.get(path)
    return raised.value


# Good answers -------------------------------------------------------------------------------------------------------


def test_a_page_is_what_the_server_sent(visit: Visit, tls: ssl.SSLContext) -> None:
    http = Http({"/": answer(200, "grüß Gott", ("X-A", "1"), ("x-a", "2"), ("Server", "nginx"))})
    with Loopback(http, tls) as server:
        page = visit(server).get("/")
    assert (page.status, page.body, page.protocol, page.path, page.url) == (200, "grüß Gott", "HTTP/1.1", "/", URL)
    assert page.values("X-A") == ("1", "2")
    assert (page.header("SERVER"), page.header("none")) == ("nginx", "")
    assert page.hops == ()
    assert 0 < page.seconds < 5
    assert page.row()["status"] == "200"


def test_a_request_is_marked_and_asks_for_the_sites_own_name(visit: Visit, tls: ssl.SSLContext) -> None:
    names: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: names.append(name)
    http = Http({"/": answer(200)})
    with Loopback(http, tls) as server:
        visit(server).get("/")
    tls.sni_callback = None
    (asked,) = http.asked
    assert (asked.method, asked.headers["host"], names) == ("GET", NAME, [NAME])
    assert asked.headers["user-agent"] == "the-agent (run 123)"


def test_every_path_is_asked_once_over_one_connection(visit: Visit, tls: ssl.SSLContext) -> None:
    begun: list[int] = []
    http = Http({"/": answer(200, "a"), "/b/": answer(200, "b")})
    with Loopback(http, tls) as server:
        site = visit(server, asked=lambda: begun.append(1))
        for _ in range(3):
            assert [site.get("/").body, site.get("/b/").body, site.get_itself("/b/").body] == ["a", "b", "b"]
        assert server.connections == 1
    assert [one.path for one in http.asked] == ["/", "/b/"]
    assert len(begun) == 2


def test_a_path_can_be_timed_over_the_connection_that_stands(visit: Visit, tls: ssl.SSLContext) -> None:
    http = Http({"/": answer(200, "a")})
    with Loopback(http, tls) as server:
        seconds = visit(server).seconds_of("/", 3)
        assert server.connections == 1
    assert len(seconds) == 3
    assert all(0 < one < 5 for one in seconds)
    assert [one.path for one in http.asked] == ["/"] * 4, "the first connects and isn't timed"


def test_a_path_that_stops_answering_while_it_is_timed_is_no_answer(visit: Visit, tls: ssl.SSLContext) -> None:
    http = Http({"/": answer(200)})
    with Loopback(http, tls) as server:
        site = visit(server, seconds=SECONDS)
        site.get("/")
        http.answers["/"] = b""
        with pytest.raises(NoAnswer, match="did not answer within"):
            site.seconds_of("/", 1)


def test_http_2_is_spoken_where_the_server_speaks_it(visit: Visit, authority: Authority) -> None:
    import h2.config
    import h2.connection
    import h2.events

    seen: list[dict[bytes, bytes]] = []

    def behave(connection: socket.socket) -> None:
        h2_connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        h2_connection.initiate_connection()
        connection.sendall(h2_connection.data_to_send())
        while data := connection.recv(65536):
            for event in h2_connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    seen.append(dict(event.headers))
                    h2_connection.send_headers(event.stream_id, [(":status", "200"), ("x-a", "1"), ("x-a", "2")])
                    h2_connection.send_data(event.stream_id, b"two", end_stream=True)
            connection.sendall(h2_connection.data_to_send())

    with Loopback(behave, authority.context(protocols=("h2", "http/1.1"))) as server:
        page = visit(server).get("/")
    assert (page.protocol, page.body, page.values("x-a")) == ("HTTP/2", "two", ("1", "2"))
    assert seen[0][b":authority"] == NAME.encode()


def test_an_error_is_an_answer(visit: Visit, tls: ssl.SSLContext) -> None:
    with Loopback(Http({"/": answer(502, "bad gateway")}), tls) as server:
        assert visit(server).get("/").status == 502


def test_a_long_page_is_cut(visit: Visit, tls: ssl.SSLContext) -> None:
    with Loopback(Http({"/": answer(200, b"x" * 5_000_000)}), tls) as server:
        assert len(visit(server).get("/").body) == MOST_BODY


def test_a_page_without_end_is_cut(visit: Visit, tls: ssl.SSLContext) -> None:
    behave = dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100_000, every=0)
    with Loopback(behave, tls) as server:
        assert len(visit(server).get("/").body) == MOST_BODY


def test_a_compressed_page_is_read(visit: Visit, tls: ssl.SSLContext) -> None:
    packed = answer(200, gzip.compress(b"hello"), ("Content-Encoding", "gzip"))
    with Loopback(Http({"/": packed, "/b": packed.replace(b"\x1f\x8b", b"nope")}), tls) as server:
        site = visit(server)
        assert site.get("/").body == "hello"
        assert "does not answer: Error" in str(failure(site, "/b"))


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "rot13", "idna", "undefined", "hex", "none-such", "utf-16"])
def test_a_page_of_any_claimed_encoding_is_read(visit: Visit, tls: ssl.SSLContext, charset: str) -> None:
    page = answer(200, b"ok \xff", ("Content-Type", f"text/html; charset={charset}"))
    with Loopback(Http({"/": page}), tls) as server:
        assert visit(server).get("/").status == 200


# Redirects ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where", ["/start/", "start/", URL + "start/", f"https://www.{NAME}/start/", "//site.test/start/"]
)
def test_a_redirect_within_the_site_is_followed_and_shown(visit: Visit, authority: Authority, where: str) -> None:
    http = Http({"/": redirect(where), "/start/": answer(200, "here")})
    with Loopback(http, authority.context(NAME, f"www.{NAME}")) as server:
        page = visit(server).get("/")
    assert (page.status, page.body, page.path) == (200, "here", "/")
    assert page.hops == ((302, where),)
    assert page.url.endswith("/start/")
    assert page.row()["redirects"] == f"302 {where}"


def test_what_is_asked_for_itself_is_not_followed(visit: Visit, tls: ssl.SSLContext) -> None:
    with Loopback(Http({"/": redirect("/start/"), "/start/": answer(200)}), tls) as server:
        site = visit(server)
        assert site.get("/").status == 200
        assert site.get_itself("/").status == 302


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("/", "is redirected over and over, lastly to https://site.test/"),
        ("https://elsewhere.test/x", "is redirected to another site, https://elsewhere.test/x"),
        ("https://site.test.elsewhere.test/", "is redirected to another site"),
        ("https://site.test@elsewhere.test/", "is redirected to another site"),
        ("http://site.test/", "is redirected to http://site.test/, which isn't HTTPS"),
        ("ftp://site.test/", "which isn't HTTPS"),
        ("javascript:alert(1)", "no address"),
        ("https://[::1/", "is redirected to something that is no address: Invalid"),
        ("https://site.test:99999/", "which is no address"),
    ],
)
def test_a_redirect_to_nowhere_good_is_no_answer(visit: Visit, tls: ssl.SSLContext, where: str, said: str) -> None:
    with Loopback(Http({"/": redirect(where)}), tls) as server:
        broken = failure(visit(server))
    assert said in str(broken)
    assert str(broken).startswith(URL)
    assert broken.cause == "", "the site does answer: this is the path's own trouble"


LOCATIONS = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=30)


def plain(path: str, status: int, where: str) -> Page:
    return Page(path, f"http://{NAME}{path}", status, (("location", where),), "", "HTTP/1.1", (), 0.0)


@pytest.mark.parametrize(
    ("path", "status", "where", "said"),
    [
        ("/", 301, URL, ""),
        ("/", 308, "https://site.test", ""),
        ("/", 301, f"https://www.{NAME}/", ""),
        ("/a/", 301, "https://SITE.test/a/", ""),
        ("/ü/", 301, "https://site.test/%C3%BC/", ""),
        ("/", 302, URL, "is answered 302 to https://site.test/, no permanent redirect"),
        ("/", 200, "", "is answered 200, no permanent redirect"),
        ("/", 404, "", "is answered 404, no permanent redirect"),
        ("/", 301, "", "is answered 301 without an address to go to"),
        ("/", 301, "/login", "is redirected to /login, which isn't HTTPS"),
        ("/", 301, "http://site.test/", "which isn't HTTPS"),
        ("/", 301, "https://elsewhere.test/", "is redirected to another host: https://elsewhere.test/"),
        ("/a/", 301, URL, "is redirected to another path: https://site.test/"),
        ("/", 301, "https://[::1/", "is redirected to 'https://[::1/', which is no address"),
    ],
)
def test_plain_http_leads_to_the_same_path_on_https(path: str, status: int, where: str, said: str) -> None:
    found = redirect_trouble(plain(path, status, where), URL)
    assert said in found
    assert bool(found) == bool(said)


def test_a_name_beyond_ascii_is_the_same_name_as_browsers_write_it() -> None:
    page = Page("/", "http://bücher.test/", 301, (("location", "https://xn--bcher-kva.test/"),), "", "", (), 0.0)
    assert redirect_trouble(page, "https://bücher.test/") == ""


@given(where=LOCATIONS | st.text(max_size=20), status=st.sampled_from([200, 301, 302, 308]))
@example(where="https://" + "." * 70, status=301)
@example(where="//[", status=301)
def test_any_address_to_go_to_is_judged(where: str, status: int) -> None:
    assert redirect_trouble(plain("/a/", status, where), URL)


def test_plain_http_is_asked_at_its_own_address(visit: Visit, tls: ssl.SSLContext) -> None:
    http = Http({"/a/": redirect(f"{URL}a/", 301)})
    with Loopback(http) as server, Loopback(silent, tls) as secure:
        page, trouble = visit(secure, f"https://{NAME}:8443/", http_connect_to=server.address).redirects("/a/")
        assert secure.connections == 0
    assert (page.status, page.url, trouble) == (301, f"http://{NAME}/a/", "")
    assert http.asked[0].headers["host"] == NAME


# No answer ----------------------------------------------------------------------------------------------------------


def closed_port() -> str:
    with Loopback(silent) as server:
        return server.address


def test_a_refused_connection_is_said_and_is_one_cause(visit: Visit) -> None:
    broken = failure(visit(closed_port()))
    assert str(broken) == f"{URL} does not answer: connection refused"
    assert broken.cause == "site"


def test_plain_http_that_is_refused_has_a_cause_of_its_own(visit: Visit) -> None:
    with pytest.raises(NoAnswer, match=f"^http://{NAME}/ does not answer: connection refused") as raised:
        visit("127.0.0.1:1", http_connect_to=closed_port()).get_plain("/")
    assert raised.value.cause == "site-http"


def test_an_unknown_name_is_said(authority: Authority) -> None:
    site = Site("https://nowhere.invalid/", "x", 3, ca_file=authority.file)
    assert "its name can't be resolved" in str(failure(site))
    site.close()


def dripping_tls(tls: ssl.SSLContext) -> list[tuple[Callable[[Any], None], ssl.SSLContext | None]]:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n"
    return [
        (silent, None),
        (silent, tls),
        (dripping(b"\x16\x03\x03\x00\x7a", b"\x02"), None),
        (dripping(b"H", b"T"), tls),
        (dripping(head, b"x"), tls),
        (dripping(head + b"\r\n", b"x"), tls),
    ]


@pytest.mark.parametrize("number", range(6))
def test_a_server_that_keeps_silent_or_drips_costs_its_limit_once(
    visit: Visit, tls: ssl.SSLContext, number: int
) -> None:
    behave, context = dripping_tls(tls)[number]
    with Loopback(behave, context) as server:
        site = visit(server, seconds=SECONDS)
        began = time.monotonic()
        broken = failure(site)
        assert time.monotonic() - began >= SECONDS, broken
        assert str(broken) == f"{URL} did not answer within 300 ms"
        assert broken.cause == "site"
        for path in ("/", "/b/", "/c/"):
            assert failure(site, path).cause == "site"
        assert time.monotonic() - began < 3 * SECONDS
        assert server.connections == 1


def test_a_slow_path_of_a_site_that_answers_is_the_paths_own_trouble(visit: Visit, tls: ssl.SSLContext) -> None:
    http = Http({"/": answer(200), "/slow": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "/c": answer(200)})
    with Loopback(http, tls) as server:
        site = visit(server, seconds=1)
        assert site.get("/").status == 200
        broken = failure(site, "/slow")
        assert (str(broken), broken.cause) == (f"{URL}slow did not answer within 1 s", "")
        assert site.get("/c").status == 200


def test_a_path_at_which_the_server_hangs_up_says_nothing_of_the_others(visit: Visit) -> None:
    class HangsUp(Http):
        def __call__(self, connection: socket.socket) -> None:
            if b"GET / " not in connection.recv(65536, MSG_PEEK):
                super().__call__(connection)

    with Loopback(HangsUp({"/b": answer(200)})) as server:
        site = visit("", http_connect_to=server.address)
        with pytest.raises(NoAnswer, match="does not answer: "):
            site.get_plain("/")
        assert site.get_plain("/b").status == 200


def test_redirects_count_towards_the_one_limit(visit: Visit, tls: ssl.SSLContext) -> None:
    class Slow(Http):
        def __call__(self, connection: socket.socket) -> None:
            time.sleep(0.15)
            super().__call__(connection)

    answers = {f"/{n}": redirect(f"/{n + 1}").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") for n in range(9)}
    with Loopback(Slow(answers), tls) as server:
        began = time.monotonic()
        assert "did not answer within" in str(failure(visit(server, seconds=SECONDS), "/0"))
        assert time.monotonic() - began < 3 * SECONDS


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (lambda connection: connection.recv(1000), "Server disconnected without sending a response"),
        (dripping(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "illegal status line"),
        (dripping(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "Content-Length"),
    ],
)
def test_what_is_no_http_is_no_answer(
    visit: Visit, tls: ssl.SSLContext, behave: Callable[[Any], None], said: str
) -> None:
    with Loopback(behave, tls) as server:
        assert said.lower() in str(failure(visit(server))).lower()


def test_plain_http_where_tls_should_be_is_a_failed_handshake(visit: Visit) -> None:
    with Loopback(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        assert "the TLS handshake failed" in str(failure(visit(server)))


# Certificates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        ({"begins": -9 * DAY, "ends": -DAY}, "its certificate has expired"),
        ({"begins": DAY, "ends": 9 * DAY}, "its certificate is not yet valid"),
        ({"by_itself": True}, "its certificate is self-signed"),
        ({"names": ("other.test", "*.site.test")}, "its certificate is for another name"),
    ],
)
def test_a_wrong_certificate_is_no_answer_and_says_what_is_wrong(
    visit: Visit, authority: Authority, certificate: dict[str, Any], said: str
) -> None:
    http = Http({"/": answer(200)})
    names = certificate.pop("names", ())
    with Loopback(http, authority.context(*names, **certificate)) as server:
        broken = failure(visit(server))
    assert f"{URL} does not answer: {said} (" in str(broken)
    assert broken.cause == "site"
    assert not http.asked, "nothing is asked of whom we don't trust"


def test_a_certificate_of_nobody_we_trust_says_so(visit: Visit, tmp_path: Path) -> None:
    with Loopback(silent, Authority(tmp_path, "Other").context()) as server:
        assert "its certificate is from an issuer that isn't trusted" in str(failure(visit(server)))
        # Without a CA of its own a site is held against the system's.
        assert "its certificate is from an issuer that isn't trusted" in str(failure(visit(server, ca_file=None)))


def test_a_missing_intermediate_is_said_and_a_whole_chain_is_trusted(
    visit: Visit, authority: Authority, tmp_path: Path
) -> None:
    between = Authority(tmp_path, "Intermediate", authority)
    http = Http({"/": answer(200)})
    with Loopback(http, between.context()) as whole, Loopback(http, between.context(chain=False)) as torn:
        assert visit(whole).get("/").status == 200
        assert "or an intermediate is missing" in str(failure(visit(torn)))


def test_an_address_of_digits_needs_a_certificate_for_it(visit: Visit, authority: Authority) -> None:
    http = Http({"/": answer(200)})
    with Loopback(http, authority.context("127.0.0.1")) as right, Loopback(http, authority.context()) as wrong:
        assert visit("", f"https://{right.address}/").get("/").status == 200
        assert "its certificate is for another address" in str(failure(visit("", f"https://{wrong.address}/")))


@pytest.mark.parametrize(
    ("name", "why"), [("gone.pem", "No such file"), (".", "directory|system lib"), ("ca.pem", "NO_CERT")]
)
def test_a_ca_file_that_cant_be_read_blinds_and_doesnt_break(visit: Visit, tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "ca.pem").write_text("no certificate\n", encoding="utf-8")
    site = visit("127.0.0.1:1", ca_file=tmp_path / name)
    for _ in range(2):
        with pytest.raises(CannotTell, match=f"the CA file .* can't be read: .*({why})") as raised:
            site.get("/")
    assert (raised.value.cause, "site.ca_file" in raised.value.mend) == ("site", True)


def test_without_an_address_nobody_can_tell() -> None:
    with pytest.raises(CannotTell, match="address isn't set") as raised:
        Site("", "x", 1).get("/")
    assert raised.value.mend == "Set site.url in the target."


def test_the_runners_proxies_say_nothing_about_the_site(
    visit: Visit, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with Loopback(Http({"/": answer(200)}), tls) as server:
        assert visit(server).get("/").status == 200


# The error page and the health endpoint -----------------------------------------------------------------------------


def test_the_first_path_that_is_answered_with_an_error_is_the_error_page(visit: Visit, tls: ssl.SSLContext) -> None:
    http = Http({"/a": answer(200, "the app"), "/b": redirect("/a"), "/c": answer(404, "no such page")})
    with Loopback(http, tls) as server:
        assert error_page(visit(server), ["/a", "/b", "/c", "/d"]).body == "no such page"
        assert [one.path for one in http.asked] == ["/a", "/b", "/c"]
        with pytest.raises(CannotTell, match="no error page could be had") as raised:
            error_page(visit(server), ["/a", "/b"])
    assert "site.error_path" in raised.value.mend


def test_the_health_endpoint_is_asked_itself(visit: Visit, tls: ssl.SSLContext) -> None:
    http = Http(
        {"/": answer(200, "<app>"), "/h/": answer(200, "ok"), "/r/": redirect("/h/"), "/app/": answer(200, "<app>")}
    )
    with Loopback(http, tls) as server:
        site = visit(server)
        assert HealthEndpoint(site, "/h/", "/").look()[1] == ""
        assert HealthEndpoint(site, "/r/", "/").look()[1] == "is a redirect: 302 to /h/"
        assert "answers with the start page" in HealthEndpoint(site, "/app/", "/").look()[1]
        assert HealthEndpoint(site, "/h/", "/h/").look()[1] == "", "it may be the start page, where that is meant"


def test_a_health_endpoint_is_judged_without_the_start_page_too(visit: Visit, tls: ssl.SSLContext) -> None:
    http = Http({"/h/": answer(200, "ok"), "/": redirect("https://elsewhere.test/")})
    with Loopback(http, tls) as server:
        assert HealthEndpoint(visit(server), "/h/", "/").look()[1] == ""
