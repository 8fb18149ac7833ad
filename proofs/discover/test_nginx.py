"""nginx's configuration is read as nginx reads it: includes, what is inherited, upstreams, variables, formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from discover import nginx_files, proxy
from discover.nginx_files import OfHost
from discover.sight import Here, known
from discover.stacks import Seen, look_at, stacks
from observe.engine import Engine
from observe.errors import CannotTell

if TYPE_CHECKING:
    from pathlib import Path

    from discover.proxy import Proxied
    from lab.stack import Lab

MAIN = """
error_log logs/error.log warn;
events { worker_connections 10; }
http {
    log_format short '$remote_addr [$time_local] "$request" '
                     '$status';
    log_format asjson escape=json '{"at":"$time_iso8601",' '"status":$status}';
    upstream app { least_conn; server web-1:8000; server 10.0.0.7:8001 weight=2; }
    limit_req_zone $binary_remote_addr zone=one:1m rate=1r/s;
    access_log /var/log/nginx/all.log short;
    include sites-enabled/*.conf;
    server { listen 80; return 301 https://$host$request_uri; }
}
"""
SITE = """
server {
    listen [::]:8443 ssl;
    listen 443 ssl http2; # all of them
    server_name www.example.org example.org *.example.org ~^x(?<n>\\d+)$ _;
    include snippets/tls.conf;
    set $backend "http://app2:9000";
    error_log /var/log/nginx/example.error.log;
    location = /token/ { limit_req zone=one; limit_req_status 429; proxy_pass http://app; }
    location /api/ {
        location /api/v2/ { uwsgi_pass unix:/run/x.sock; }
        proxy_pass $backend;
        if ($request_uri ~* "\\.(php|asp){1,2}$") { return 404; }
    }
    location ~ ^/files/(.*)$ { proxy_pass https://files/$1; }
    location /admin/ { access_log /var/log/nginx/admin.log asjson buffer=32k; proxy_pass http://127.0.0.1:8000; }
    location /quiet/ { access_log off; }
    location /nested { proxy_pass http://app; more_set_headers "X: {;}"; }
}
"""


@pytest.fixture
def laid(tmp_path: Path) -> Path:
    """A configuration in files of its own."""
    for name in ("sites-enabled", "snippets"):
        (tmp_path / name).mkdir()
    (tmp_path / "nginx.conf").write_text(MAIN)
    (tmp_path / "sites-enabled" / "b.conf").write_text(SITE)
    (tmp_path / "sites-enabled" / "a.conf.off").write_text("server { nothing of this")
    (tmp_path / "snippets" / "tls.conf").write_text("ssl_certificate /etc/ssl/x.pem;\nssl_trusted_certificate ca.pem;")
    return tmp_path


def servers_of(main: Path) -> Proxied:
    found = nginx_files._followed(OfHost(Here()), str(main / "nginx.conf"), "files", "/usr/share/nginx")
    assert not found.unread, found.unread
    return proxy.read_servers(found)


def test_a_server_is_read_with_what_it_inherits(laid: Path) -> None:
    site, plain = servers_of(laid).servers
    assert site.names == ("www.example.org", "example.org")
    assert site.tls == ("[::]:8443", "443")
    assert (plain.names, plain.plain, plain.tls) == ((), ("80",), ())
    assert (site.certificate, site.authorities) == ("/etc/ssl/x.pem", "ca.pem")
    assert [(one.path, one.form) for one in site.access] == [("/var/log/nginx/all.log", "short")]
    assert site.error is not None
    assert site.error.path == "/var/log/nginx/example.error.log"
    assert plain.error is not None
    assert plain.error.path == "/usr/share/nginx/logs/error.log"
    assert site.where == f"{laid}/sites-enabled/b.conf:2"


def test_locations_say_whom_they_pass_requests_on_to(laid: Path) -> None:
    site, plain = servers_of(laid).servers
    passes = {one.path: one.passes for one in site.locations}
    assert passes == {
        "/token/": ("web-1:8000", "10.0.0.7:8001"),
        "/api/": ("app2:9000",),
        "/api/v2/": (),
        "/admin/": ("127.0.0.1:8000",),
        "/quiet/": (),
        "/nested": ("web-1:8000", "10.0.0.7:8001"),
    }
    admin = next(one for one in site.locations if one.path == "/admin/")
    assert admin.access is not None
    assert (admin.access.path, admin.access.form) == ("/var/log/nginx/admin.log", "asjson")
    assert site.refusals == {429}
    assert not plain.refusals


def test_a_service_is_known_by_its_name_its_address_or_its_published_port() -> None:
    web = Seen(
        *("1", "shop-web-1", "web", "shop", "x"),
        running=True,
        addresses=("10.0.0.7",),
        networks=frozenset({"n"}),
        published={80: (("", 8000),)},
    )
    edge = Seen(
        *("2", "edge", "edge", "front", "x"),
        running=True,
        networks=frozenset({"m", "n"}),
        addresses=("10.0.0.9",),
        gateways=frozenset({"10.0.0.1"}),
    )
    strange = Seen("3", "other", "nginx", "other", "x", running=True, networks=frozenset({"o"}))
    assert proxy.service_of("10.0.0.7:8001", (web,)) == "web"
    assert proxy.service_of("127.0.0.1:8000", (web,)) == "web"
    assert proxy.service_of("web:8000", (web,), edge) == "web"
    assert proxy.service_of("shop-web-1:8000", (web,), edge) == "web"
    assert not proxy.service_of("web:8000", (web,), strange), "there, web is another project's"
    assert not proxy.service_of("web:8001", (web,)), "the host doesn't know the names of a project's network"
    assert not proxy.service_of("127.0.0.1:9", (web,))
    assert not proxy.service_of("192.0.2.9:8000", (web,)), "another machine's"
    assert proxy.service_of("10.0.0.1:8000", (web,), edge) == "web"
    assert not proxy.service_of("127.0.0.1:8000", (web,), edge), "that is the proxy's own container"


def test_formats_are_kept_word_by_word(laid: Path) -> None:
    formats = servers_of(laid).formats
    assert formats["short"] == ('$remote_addr [$time_local] "$request" ', "$status")
    assert formats["asjson"] == ("escape=json", '{"at":"$time_iso8601",', '"status":$status}')


def test_what_cant_be_read_is_said_and_the_rest_is_read(laid: Path) -> None:
    (laid / "sites-enabled" / "c.conf").write_text("server {\n    listen 81;\n")
    (laid / "sites-enabled" / "d.conf").write_text("include gone.conf;\ninclude /nowhere/*.conf;\ninclude d*.conf;\n")
    (laid / "d1.conf").write_text("include nginx.conf;")
    found = nginx_files._followed(OfHost(Here()), str(laid / "nginx.conf"), "files", "")
    said = "\n".join(found.unread)
    assert "c.conf, line" in said
    assert "gone.conf: No such file or directory" in said
    assert "include /nowhere/*.conf: No such file or directory" in said
    assert "nginx.conf includes itself" in said
    assert "www.example.org" in proxy.read_servers(found).servers[0].names


def test_what_nginx_prints_is_read_as_its_files_are(laid: Path) -> None:
    files = [laid / "nginx.conf", laid / "sites-enabled" / "b.conf", laid / "snippets" / "tls.conf"]
    printed = "".join(f"# configuration file {one}:\n{one.read_text()}\n\n" for one in files)
    found = nginx_files._of_printed(printed, "printed")
    assert not found.unread
    files_alone = nginx_files._followed(OfHost(Here()), str(laid / "nginx.conf"), "files", "")
    ours, theirs = proxy.read_servers(found), proxy.read_servers(files_alone)
    assert ours.formats == theirs.formats
    assert ours.servers == theirs.servers


def test_the_labs_own_nginx_prints_what_its_files_say(lab: Lab) -> None:
    engine = Engine("", 20)
    stack = next(one for one in stacks(engine) if one.name == lab.name)
    (nginx,) = (one for one in look_at(engine, stack) if one.service == "nginx")
    files = nginx_files.of_container(engine, nginx)
    assert (files.how, files.unread) == (f"the files in the container {nginx.name}", ())
    printed = nginx_files._dump_inside(engine, nginx, {"-c": "/etc/nginx/synk/nginx.conf"})
    assert nginx_files._of_printed(printed, "").main == files.main
    engine.close()


def test_nginx_is_asked_to_print_it_where_its_files_cant_be_had(lab: Lab) -> None:
    engine = Engine("", 20)
    stack = next(one for one in stacks(engine) if one.name == lab.name)
    (nginx,) = (one for one in look_at(engine, stack) if one.service == "nginx")

    class Refusing(nginx_files.OfContainer):
        def text(self, path: str) -> str:
            raise PermissionError(13, f"the engine's socket proxy hands out no {path}")

    held, nginx_files.OfContainer = nginx_files.OfContainer, Refusing  # type: ignore[misc]
    try:
        found = nginx_files.of_container(engine, nginx)
    finally:
        nginx_files.OfContainer = held  # type: ignore[misc]
    assert found.how == f"`nginx -T` in the container {nginx.name}"
    assert any(lab.domain in one.names for one in proxy.read_servers(found).servers)
    engine.close()


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("nginx: master process nginx -c /etc/x.conf -g daemon off;", {"nginx": "nginx", "-c": "/etc/x.conf"}),
        ("nginx: master process /usr/sbin/nginx -p /srv/n/ -q", {"nginx": "/usr/sbin/nginx", "-p": "/srv/n/"}),
        ("nginx: master process nginx -c/etc/x.conf", {"nginx": "nginx", "-c": "/etc/x.conf"}),
        ("nginx: worker process", None),
        ("python3 nginx: master process", None),
    ],
)
def test_how_a_master_was_started_is_known_by_its_title(line: str, options: dict[str, str] | None) -> None:
    assert nginx_files._options(line) == options


@pytest.mark.parametrize(
    "command",
    [
        ("nginx", "-s", "reload"),
        ("nginx", "-T", "-g", "daemon off;"),
        ("nginx", "-T", "-c", "relative.conf"),
        ("sh", "-c", "nginx -T"),
        ("/srv/nginx.sh", "-T"),
        ("ps", "aux"),
        ("readlink", "-f", "/etc/shadow"),
    ],
)
def test_a_command_that_isnt_known_to_read_is_refused(command: tuple[str, ...]) -> None:
    assert not known(command)
    with pytest.raises(ValueError, match="not known to read only"):
        Here().run(*command)


def test_a_command_that_isnt_there_cant_be_run() -> None:
    with pytest.raises(CannotTell, match="openresty can't be run: No such file"):
        Here().run("/nowhere/openresty", "-V")


def test_nginx_itself_makes_files_when_it_prints_its_configuration(lab: Lab) -> None:
    # Which is why it is asked last: not even `nginx -T` only reads.
    container = lab.container("nginx")
    log = "/var/log/nginx/never-opened.log"
    text = f"events {{}} error_log {log}; pid /run/never.pid; http {{}}"
    made = f"printf '{text}' > /tmp/n.conf; nginx -T -c /tmp/n.conf >/dev/null 2>&1; ls {log}"
    put_back = f"rm -f /tmp/n.conf {log} /run/never.pid"
    assert container.exec_run(["sh", "-c", f"{made}; {put_back}"], user="root").output.decode().strip() == log
