"""Real requests to a lab's site, through its proxy."""

from __future__ import annotations

import http
import json
import socket
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Protocol

from lab.progress import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGENT = "Mozilla/5.0 (X11; Linux x86_64) LabVisitor/1.0"
LIMIT_SECONDS = 10.0
# An ordinary user, the one whose password the lab knows.
MEMBER = "mira"
WARN = "/api/lab/warn/"
"""What makes the application log the one warning that it always has."""
USUAL_WARNINGS = 2


class HasSite(Protocol):
    """What of a lab has to do with its site."""

    @property
    def domain(self) -> str:
        """The site's host name."""

    @property
    def https_port(self) -> int:
        """The proxy's TLS port on 127.0.0.1."""

    @property
    def ca_file(self) -> Path:
        """The root certificate to trust."""

    def secrets(self) -> dict[str, str]:
        """Passwords by their purpose."""


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers in order with their names in lower case, body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of one header, in order."""
        return [value for key, value in self.headers if key == name.lower()]


class Visitor:
    """One connection to the site that is opened again when the other side closes it."""

    def __init__(self, lab: HasSite, *, verify: bool = True, agent: str = AGENT) -> None:
        """Prepare to visit a lab as `agent`; without `verify` any certificate will do."""
        self._lab = lab
        self._agent = agent
        self._context = ssl.create_default_context(cafile=str(lab.ca_file))
        if not verify:
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        self._connection: HTTPConnection | None = None

    def ask(self, path: str, method: str = "GET", body: object = None, token: str | None = None) -> Answer:
        """Send one request and read the whole answer; redirects are not followed.

        Args:
            path: path and query.
            method: HTTP method.
            body: sent as JSON unless None.
            token: the API's token, from `login`.

        Raises:
            OSError: the connection failed (TLS and time limits included).
            HTTPException: what came back was no HTTP.
        """
        headers = {"Host": self._lab.domain, "User-Agent": self._agent}
        if token:
            headers["Authorization"] = f"Token {token}"
        payload = None
        if body is not None:
            payload, headers["Content-Type"] = json.dumps(body), "application/json"
        connection = self._connection or self._open()
        try:
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException):
            self.close()
            raise
        if answer.will_close:
            self.close()
        return Answer(answer.status, tuple((k.lower(), v) for k, v in answer.getheaders()), content)

    def login(self, username: str, password: str) -> str:
        """Log in to the API and return the token.

        Raises:
            LabError: the login was refused.
        """
        answer = self.ask("/api/token/", "POST", {"username": username, "password": password})
        if answer.status != http.HTTPStatus.OK:
            raise LabError(f"the lab's site refused the login of {username} with {answer.status}")
        return str(json.loads(answer.body)["token"])

    def close(self) -> None:
        """Close the connection if one is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> HTTPConnection:
        # By hand, since the name to ask for and to verify is not the one to connect to.
        plain = socket.create_connection(("127.0.0.1", self._lab.https_port), LIMIT_SECONDS)
        try:
            secured = self._context.wrap_socket(plain, server_hostname=self._lab.domain)
        except OSError:
            plain.close()
            raise
        connection = HTTPConnection(self._lab.domain, self._lab.https_port)
        connection.sock = secured
        self._connection = connection
        return connection


@contextmanager
def visiting(lab: HasSite, *, verify: bool = True, agent: str = AGENT) -> Iterator[Visitor]:
    """A visitor for the length of a block."""
    visitor = Visitor(lab, verify=verify, agent=agent)
    try:
        yield visitor
    finally:
        visitor.close()


def usual_morning(lab: HasSite) -> int:
    """Send some sixty ordinary requests: pages, a login, tasks read and written.

    Returns:
        How many were answered.

    Raises:
        LabError: one was answered with a server error.
    """
    with visiting(lab) as visitor:
        token = visitor.login(MEMBER, lab.secrets()["member_password"])
        asked = 1
        visits: list[tuple[str, str, object]] = [("/", "GET", None), ("/api/status/", "GET", None)]
        visits += [("/assets/index-90be4f13.js", "GET", None), ("/assets/index-5c1d7a20.css", "GET", None)]
        visits += [("/health/", "GET", None), ("/api/tasks/", "GET", None), ("/api/activity/", "GET", None)]
        rounds = visits * 8 + [("/api/tasks/", "POST", {"title": f"Water plant {n}"}) for n in range(3)]
        rounds += [(WARN, "GET", None)] * USUAL_WARNINGS
        for path, method, body in rounds:
            answer = visitor.ask(path, method, body, token if path.startswith("/api/") else None)
            if answer.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
                raise LabError(f"the lab's site answered {answer.status} to {method} {path}")
            asked += 1
    return asked


def answers(lab: HasSite) -> list[str]:
    """What of the site does not answer 200: one phrase each, nothing when all is well."""
    complaints = []
    with visiting(lab) as visitor:
        for path in ("/", "/api/status/", "/health/"):
            try:
                status = visitor.ask(path).status
            except (OSError, HTTPException) as failed:
                complaints.append(f"{path}: {failed}")
            else:
                if status != http.HTTPStatus.OK:
                    complaints.append(f"{path} answered {status}")
    return complaints
