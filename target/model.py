"""The typed model of a target file. Every key, its unit and its default stand here.

The defaults of `limits` and `windows` are the operations guide's own figures
where it names one (:data:`FROM_THE_GUIDE`); the rest are this suite's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from target.kinds import Count, Factor, FilePath, Pattern, Secret, Share, Size, Span

Port = Annotated[int, Meta(ge=1, le=65535)]
Address = Annotated[str, Meta(pattern=r"^$|^\S+:[0-9]{1,5}\Z")]
ShortName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]*\Z")]

FROM_THE_GUIDE = frozenset(
    {
        "backup_age",
        "backup_size_min",
        "backup_size_max",
        "backup_days",
        "disk_used",
        "error_rate",
        "database_connections",
        "certificate_left",
        "response_time",
    }
)


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the target file. Unknown keys are errors: a mistyped limit must not be a silent default."""


class Project(Section, frozen=True):
    """The Compose project."""

    name: ShortName
    """Its name, as in the label `com.docker.compose.project`."""
    directory: FilePath
    """Where its Compose file lies."""
    files: list[FilePath] = []
    """Its Compose files in order; empty: the ones that Compose itself would take."""
    profiles: list[str] = []
    """Profiles that are on. A service of another profile isn't wanted."""


class Services(Section, frozen=True):
    """Which service plays which part, and how many of it are wanted."""

    database: str = "db"
    backend: str = "backend"
    wanted: dict[str, Count] = {}
    """Containers wanted per service, where the Compose file doesn't say it (`--scale`)."""


class Engine(Section, frozen=True):
    """The container engine."""

    url: str = ""
    """Such as `unix:///var/run/docker.sock`; empty: `DOCKER_HOST` or the current Docker context."""


class Host(Section, frozen=True):
    """The machine that the stack runs on."""

    url: Annotated[str, Meta(pattern=r"^local://$")] = "local://"
    zone: str = ""
    """Its time zone by IANA name; empty: this machine's."""
    filesystems: dict[ShortName, FilePath] = {}
    """More file systems to watch, by a short name of your own."""

    def __post_init__(self) -> None:
        if taken := sorted({"root", "docker", "backups", "database"}.intersection(self.filesystems)):
            raise ValueError(f"the file system {taken[0]!r} is watched anyway; call yours something else")


class Site(Section, frozen=True):
    """The site as a user reaches it."""

    url: str = ""
    """Its address, `https://…`; the expectations about the site can't tell without it."""
    paths: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["/"])
    """Paths that must answer 200: the start page, and at least one that the backend itself answers."""
    health: str = "/health/"
    error_path: str = ""
    """A path that is answered with an error page; empty: one that can't exist is tried."""
    ca_file: FilePath | None = None
    """A private CA to trust instead of the system's."""
    connect_to: Address = ""
    """`address:port` to connect to instead of what the DNS says, for HTTPS."""
    http_connect_to: Address = ""
    """The same for plain HTTP."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if self.url and (parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or parts.port == 0):
            raise ValueError("url must be an https:// address with a host, without a user or password")
        if parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError("url is the site's address alone, https://host/; what is asked for there stands in paths")
        for name in ("connect_to", "http_connect_to"):
            if (address := getattr(self, name)) and not 1 <= int(address.rpartition(":")[2]) <= 65535:
                raise ValueError(f"{name} has no port that can be: {address}")
        for path in (*self.paths, self.health, self.error_path or "/"):
            if not re.fullmatch(r"/[^\s#]*", path):
                raise ValueError(f'{path!r} is no path of a site: it begins with "/" and has no blank or #')
        if len(set(self.paths)) != len(self.paths):
            raise ValueError("a path stands twice in paths")


class Certificate(Section, frozen=True):
    """The site's certificate as it lies on the host."""

    file: FilePath | None = None
    """The certificate with its chain (`fullchain.pem`); not given: where Let's Encrypt puts it for the site's name."""
    on_disk: bool = True
    """Whether it lies on this host at all; false where somebody else ends TLS: only the served one is then judged."""


class Database(Section, frozen=True):
    """The database. What isn't given is read from its container."""

    host: str = ""
    port: Port | None = None
    name: str = ""
    user: str = ""
    password: Secret | None = None
    password_file: FilePath | None = None

    def __post_init__(self) -> None:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give either password or password_file, not both")


class Backups(Section, frozen=True):
    """The nightly dumps."""

    directory: FilePath | None = None
    """Where they lie; not given: `backups` in the project's directory."""
    pattern: str = "synk_backup_%Y%m%d_%H%M%S.sql.gz"
    """Their names, with the time of the backup as strftime writes it."""
    zone: str = ""
    """The zone of the time in the name; empty: the host's."""

    def __post_init__(self) -> None:
        codes = set(re.findall(r"%(.)", self.pattern))
        if not codes.issuperset("Ymd") or "/" in self.pattern:
            raise ValueError("pattern needs %Y, %m and %d, and is a file name without a directory")
        if unknown := codes - set("YmdHMS%"):
            raise ValueError(f"pattern may have %Y %m %d %H %M %S of strftime's codes, not %{min(unknown)}")


class Logs(Section, frozen=True):
    """The logs that lie in files, and what is expected to stand in logs."""

    access: FilePath | None = None
    error: FilePath | None = None
    admin: FilePath | None = None
    access_format: str = "combined"
    """`combined`, or the log_format as nginx's configuration writes it."""
    refused_status: Annotated[int, Meta(ge=400, le=599)] = 503
    """What `limit_req` answers (nginx: limit_req_status)."""
    client_errors: list[Pattern] = field(
        default_factory=lambda: [
            Pattern(r"AuthenticationFailed|NotAuthenticated|PermissionDenied|InvalidToken"),
            Pattern(r"Throttled|[Rr]ate.?limit|RATE_LIMIT|Too Many Requests"),
            Pattern(r"\bNotFound\b|Http404|Not Found:"),
            Pattern(r"ValidationError|ParseError|MethodNotAllowed"),
        ]
    )
    """What a client did wrong but the application logs at ERROR; counted apart."""
    rate_limited: list[Pattern] = field(
        default_factory=lambda: [
            Pattern(r"RATE_LIMIT"),
            Pattern(r"(?i)\brate.?limited\b"),
            Pattern(r"(?i)\brate.?limit exceeded\b"),
            Pattern(r"Too Many Requests"),
            Pattern(r"\bThrottled\b"),
        ]
    )
    """What the backend logs when it refuses a client that asks too often."""
    varying: list[Pattern] = []
    """What else varies in the backend's messages, beside numbers, addresses, paths and quoted texts: `user \\w+`."""
    database_expected: list[Pattern] = field(
        default_factory=lambda: [
            Pattern(r"the database system is (?:starting up|shutting down)"),
            Pattern(r"terminating connection due to administrator command"),
        ]
    )
    """FATAL lines that belong to a planned start or stop."""


class Limits(Section, frozen=True):
    """What is wanted."""

    backup_age: Span = Span(hours=24)
    backup_size_min: Size = Size(5 * 1024**2)
    backup_size_max: Size = Size(50 * 1024**2)
    backup_steady_low: Factor = Factor(0.5)
    backup_steady_high: Factor = Factor(2.0)
    backup_steady_floor: Size = Size(1024**2)
    """A change of fewer bytes than this is none, whatever its ratio."""
    disk_used: Share = Share(0.80)
    disk_floor: Size = Size(0)
    """File systems smaller than this are not judged."""
    inodes_used: Share = Share(0.80)
    inodes_floor: Count = Count(0)
    """File systems with fewer inodes than this are not judged."""
    backend_errors: Count = Count(10)
    error_rate: Share = Share(0.01)
    error_rate_floor: Count = Count(2)
    """Fewer server errors than this are no rate."""
    database_connections: Count = Count(20)
    backup_days: Annotated[int, Meta(ge=1, le=60)] = 7
    """Days before today of which each must have a backup."""
    certificate_left: Span = Span(days=30)
    response_time: Span = Span(milliseconds=500)
    """The 95th percentile must be below it."""
    rate_limit_events: Count = Count(10)
    anomaly_factor: Factor = Factor(3.0)
    """A kind of error or warning may come so many times as often as usual."""
    anomaly_floor: Count = Count(10)
    """Fewer of a known kind than this are no anomaly, however rare it was."""
    hsts_max_age: Span = Span(days=365)

    def __post_init__(self) -> None:
        if self.backup_size_min > self.backup_size_max:
            raise ValueError("backup_size_min is above backup_size_max: no backup could be right")
        if self.backup_steady_low >= self.backup_steady_high:
            raise ValueError("backup_steady_low is not below backup_steady_high: no backup could be right")
        for name in ("disk_used", "inodes_used", "database_connections"):
            if getattr(self, name) == 0:
                raise ValueError(f"{name} is 0, which nothing that runs can be below")


class Windows(Section, frozen=True):
    """How far back is looked."""

    backend_errors: Span = Span(hours=8)
    error_rate: Span = Span(hours=8)
    database_log: Span = Span(hours=24)
    restarts: Span = Span(hours=24)
    log_anomalies: Span = Span(days=7)
    response_time: Span = Span(days=7)
    rate_limits: Span = Span(days=7)


class Coverage(Section, frozen=True):
    """How much must have been seen for a verdict; less is *can't tell*."""

    log_window: Share = Share(0.5)
    """Share of its window that a log must reach back over."""
    unparsed: Share = Share(0.01)
    """Share of a log's lines that may be unreadable."""


class Timeouts(Section, frozen=True):
    """Total time limits, of our own: the libraries' are per read."""

    site: Span = Span(seconds=10)
    engine: Span = Span(seconds=10)
    database: Span = Span(seconds=5)
    host: Span = Span(seconds=10)
    logs: Span = Span(seconds=60)
    backup: Span = Span(minutes=10)
    """For reading one backup to its end."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0.01 <= getattr(self, name).total_seconds() <= 86400:
                raise ValueError(f"{name} is {getattr(self, name)}: nothing answers so fast, or is waited for so long")


class Report(Section, frozen=True):
    """Where reports and the history go; relative defaults are relative to the project's root."""

    html: FilePath = FilePath("reports/{cadence}-{time}.html")
    xml: FilePath = FilePath("reports/{cadence}-{time}.xml")
    history: FilePath = FilePath(".ops/history.sqlite")


class Target(Section, frozen=True):
    """Everything a run needs to know about the system it looks at."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
    project: Project
    services: Services = Services()
    engine: Engine = Engine()
    host: Host = Host()
    site: Site = Site()
    certificate: Certificate = Certificate()
    database: Database = Database()
    backups: Backups = Backups()
    logs: Logs = Logs()
    limits: Limits = Limits()
    windows: Windows = Windows()
    coverage: Coverage = Coverage()
    timeouts: Timeouts = Timeouts()
    report: Report = Report()

    @property
    def backup_directory(self) -> Path:
        """Where the backups lie."""
        return self.backups.directory or self.project.directory / "backups"

    @property
    def certificate_file(self) -> Path | None:
        """Where the certificate lies with its chain; None where it isn't on this host, or nothing says where."""
        host = urlsplit(self.site.url).hostname
        if not self.certificate.on_disk:
            return None
        if self.certificate.file is not None:
            return self.certificate.file
        return Path("/etc/letsencrypt/live", host, "fullchain.pem") if host else None
