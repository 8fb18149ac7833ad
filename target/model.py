"""The typed model of a target file. Every key, its unit and its default stand here.

The defaults of `limits` and `windows` are the operations guide's own figures
where it names one (:data:`FROM_THE_GUIDE`); the rest are this suite's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from target.kinds import Count, Factor, FilePath, Network, Pattern, Secret, Severity, Share, Size, Span

Port = Annotated[int, Meta(ge=1, le=65535)]
Address = Annotated[str, Meta(pattern=r"^$|^\S+:[0-9]{1,5}\Z")]
ShortName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]*\Z")]
TableName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?\Z")]
ColumnName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_$]*\Z")]
FileName = Annotated[str, Meta(pattern=r"^[^/\0]+\Z")]
Reason = Annotated[str, Meta(pattern=r"\S")]

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
        "exploit_probes",
        "slow_query_log",
        "data_retention",
        "idle_connection",
        "scale_users",
        "scale_response",
        "scale_cpu",
        "scale_disk",
        "scale_errors",
        "disaster_recovery",
    }
)


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the target file. Unknown keys are errors: a mistyped limit must not be a silent default."""


_HOST = r"([^\s/:@]+@)?(\[[0-9A-Fa-f:.]+\]|[^\s/:@\[\]-][^\s/:@\[\]]*)(:[0-9]{1,5})?"
HostUrl = Annotated[str, Meta(pattern=rf"^(local://|ssh://{_HOST})\Z")]


class Project(Section, frozen=True):
    """The Compose project."""

    name: ShortName
    """Its name, as in the label `com.docker.compose.project`; of a Swarm stack, its own."""
    directory: FilePath
    """Where its Compose file lies, on the stack's host."""
    orchestrator: Literal["compose", "swarm"] = "compose"
    """What runs the containers: Compose on one machine, or a Swarm."""
    files: list[FilePath] = []
    """Its Compose files in order; empty: the ones that Compose itself would take."""
    profiles: list[str] = []
    """Profiles that are on. A service of another profile isn't wanted."""
    security_script: FileName = "pre-deployment-security-check.sh"
    """The security check that lies in the project's directory."""
    security_summary: Pattern = Pattern(r"(?im)^\W*(summary|result)")
    """What its last lines have when it came to its end."""
    runbooks: Annotated[list[FileName], Meta(min_length=1)] = field(
        default_factory=lambda: ["BACKUP_SETUP.md", "INCIDENTS.md", "SECURITY.md", "OPERATIONS.md"]
    )
    """The documents that lie in the project's directory for whoever has to act, the guide itself among them."""

    def __post_init__(self) -> None:
        if len({one.lower() for one in self.runbooks}) != len(self.runbooks):
            raise ValueError("a document stands twice in runbooks")


class Services(Section, frozen=True):
    """Which service plays which part, and how many of it are wanted."""

    names: list[ShortName] = []
    """All of them; empty: those of the Compose files, which over SSH can't be read while tests are collected."""
    database: str = "db"
    """Empty where no container is the database: somebody else manages it."""
    backend: str = "backend"
    cache: str = "redis"
    """The service that is Redis; empty where there is none."""
    pooler: str = ""
    """The service that pools connections to the database; empty: one whose image is known to do that."""
    wanted: dict[str, Count] = {}
    """Containers wanted per service, where the Compose file doesn't say it (`--scale`)."""

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise ValueError("a service stands twice in names")
        for part in ("database", "backend", "cache", "pooler"):
            if self.names and (name := getattr(self, part)) and name not in self.names and part != "cache":
                raise ValueError(f"{part} is {name!r}, which isn't among names ({', '.join(self.names)})")
        if not self.backend:
            raise ValueError("backend is empty; it is the service that is Django")


class Engine(Section, frozen=True):
    """The container engine."""

    url: str = ""
    """Such as `unix:///var/run/docker.sock`; empty: `DOCKER_HOST` or the current Docker context, and of a host that is
    reached over SSH its `/var/run/docker.sock`. An address `unix://` or `tcp://` is meant as on that host."""


class Host(Section, frozen=True):
    """The machine that the stack runs on."""

    url: HostUrl = "local://"
    """`local://`, or `ssh://user@name:port` with a name that OpenSSH knows: its configuration, agent, jump hosts."""
    ssh_config: FilePath | None = None
    """A configuration for ssh instead of the user's own."""
    compression: bool = True
    """Whether what comes over SSH is compressed on the way."""
    sudo: list[FilePath] = []
    """Paths there that are read by `sudo -n`, and whatever lies below them."""
    zone: str = ""
    """Its time zone by IANA name; empty: this machine's, or what the host says where it is reached over SSH."""
    filesystems: dict[ShortName, FilePath] = {}
    """More file systems to watch, by a short name of your own."""

    def __post_init__(self) -> None:
        if taken := sorted({"root", "docker", "backups", "database"}.intersection(self.filesystems)):
            raise ValueError(f"the file system {taken[0]!r} is watched anyway; call yours something else")


class OtherHost(Section, frozen=True):
    """Another machine whose file systems are watched: a replica's, a proxy's, a Swarm's node."""

    name: ShortName
    """What reports call it."""
    url: HostUrl
    ssh_config: FilePath | None = None
    compression: bool = True
    """Whether what comes over SSH is compressed on the way."""
    sudo: list[FilePath] = []
    filesystems: dict[ShortName, FilePath] = {}
    """File systems to watch there, beside `root`."""

    def __post_init__(self) -> None:
        if "root" in self.filesystems:
            raise ValueError("the file system 'root' is watched anyway; call yours something else")


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
    admin_path: str = "/admin/"
    """What the paths of the admin area begin with."""
    admin_networks: list[Network] = []
    """From where the admin area is used, as `192.0.2.0/24`: such requests are no probes."""
    login_paths: Annotated[list[str], Meta(min_length=1)] = field(
        default_factory=lambda: ["/api/token/", "/api/auth/login", "/admin/login/"]
    )
    """What the path of a login begins with."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if self.url and (parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or parts.port == 0):
            raise ValueError("url must be an https:// address with a host, without a user or password")
        if parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError("url is the site's address alone, https://host/; what is asked for there stands in paths")
        for name in ("connect_to", "http_connect_to"):
            if (address := getattr(self, name)) and not 1 <= int(address.rpartition(":")[2]) <= 65535:
                raise ValueError(f"{name} has no port that can be: {address}")
        for path in (*self.paths, self.health, self.error_path or "/", self.admin_path, *self.login_paths):
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
    """The database. What isn't given is read from its container, or from a service file or connection string."""

    service: str = ""
    """A service of libpq's connection service file."""
    service_file: FilePath | None = None
    """That file; not given: where libpq looks for it."""
    dsn: Secret | None = None
    """A connection string, as a provider gives it."""
    dsn_file: FilePath | None = None
    """A file with one."""
    sslmode: Literal["", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = ""
    """As libpq takes it; empty: what the service or the connection string says, else `prefer`."""
    ca_file: FilePath | None = None
    """Who the server's certificate must be from (sslrootcert); `system`, and `verify-…` without it: whom the system
    trusts."""
    host: str = ""
    port: Port | None = None
    name: str = ""
    user: str = ""
    password: Secret | None = None
    password_file: FilePath | None = None
    roles: list[str] = []
    """Login roles that are needed and not seen in use every day: a reporting tool's, an administrator's."""

    def __post_init__(self) -> None:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give either password or password_file, not both")
        if sum(bool(one) for one in (self.service, self.dsn, self.dsn_file)) > 1:
            raise ValueError("give one of service, dsn and dsn_file")


class Application(Section, frozen=True):
    """The application's tables, as the database knows them."""

    activity: TableName = "api_activity"
    """A row for everything that a user did."""
    activity_at: ColumnName = "created_at"
    """When that was."""
    activity_by: ColumnName = "user_id"
    """Who it was."""
    users: TableName = "auth_user"
    """Django's users."""
    manage: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["python3", "manage.py"])
    """How Django's commands are called in a container of the backend, word by word."""
    role: str = ""
    """The role that the application logs in to the database as; empty: the one that its sessions have."""
    commands: Annotated[list[ShortName], Meta(min_length=1)] = field(
        default_factory=lambda: ["createsuperuser", "clearcache", "migrate"]
    )
    """The commands that the guide relies on."""

    def __post_init__(self) -> None:
        if len(set(self.commands)) != len(self.commands):
            raise ValueError("a command stands twice in commands")


class Dependencies(Section, frozen=True):
    """Where packages are installed, and how their package managers are called there."""

    python: str = "python3"
    """The Python whose pip is asked, in a container of the backend."""
    python_service: str = ""
    """Another service than the backend to ask it in."""
    npm: str = "npm"
    npm_directory: FilePath | None = None
    """Where package.json lies; not given: `frontend` in the project's directory."""
    npm_service: str = ""
    """The service in whose container npm is asked, if it isn't on the host; npm_directory is a path in there."""
    advisories: str = ""
    """Who knows Python's advisories: an address of OSV's query interface; empty: OSV's own, …/v1/query."""

    def __post_init__(self) -> None:
        if self.advisories and (
            urlsplit(self.advisories).scheme not in {"http", "https"} or "@" in urlsplit(self.advisories).netloc
        ):
            raise ValueError("advisories must be an http:// or https:// address without a user or password")


class Scan(Section, frozen=True):
    """The dynamic scan: a scanner asks the site for what an attacker would."""

    scanner: Literal["", "zap", "wapiti"] = ""
    """Which one; empty: ZAP where the engine has its image, else Wapiti where it is installed."""
    image: str = "ghcr.io/zaproxy/zaproxy:stable"
    """ZAP's image; it is never pulled by a run."""
    wapiti: str = "wapiti"
    """Wapiti's command."""
    start: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["/"])
    """Paths from which links are followed."""
    leave_out: list[str] = []
    """What the paths begin with that must not be asked for, beside the admin area's and the logins'."""
    modules: Annotated[list[Annotated[str, Meta(pattern=r"^[a-z0-9_]+$")]], Meta(min_length=1)] = field(
        default_factory=lambda: ["csp", "http_headers", "cookieflags", "xss", "redirect"]
    )
    """Wapiti's modules; these look, or send what comes back, and try to reach nothing else."""
    requests: Annotated[int, Meta(ge=1, le=1_000_000)] = 4000
    """The scan is ended after so many."""
    per_second: Annotated[float, Meta(ge=0.1, le=1000)] = 8.0
    """So many requests a second, at most: below what the site's own limits let through."""

    def __post_init__(self) -> None:
        if len(set(self.modules)) != len(self.modules):
            raise ValueError("a module stands twice in modules")
        for path in (*self.start, *self.leave_out):
            if not re.fullmatch(r"/[^\s#]*", path):
                raise ValueError(f'{path!r} is no path of a site: it begins with "/" and has no blank or #')


class Tls(Section, frozen=True):
    """Trying all that a TLS client can ask the site for."""

    python: str = ""
    """The Python that has sslyze; empty: the one that this suite runs on, or that of `make venv` beside it."""


class Containers(Section, frozen=True):
    """What containers may and must not do, by the services they are of."""

    not_root: list[str] = []
    """Whose processes must not be root's; empty: the backend's."""
    read_only: list[str] = []
    """Whose root file system must not be writable."""
    privileged: list[str] = []
    """Which may be privileged."""
    engine_socket: list[str] = []
    """Which may have the engine's socket, and with it the whole host."""
    host_network: list[str] = []
    """Which may use the host's network as it is."""
    capabilities: dict[str, list[str]] = {}
    """Which capabilities may be added, per service."""
    unlimited_memory: list[str] = []
    """Which may use all memory there is."""


class Passwords(Section, frozen=True):
    """What the passwords of administrators must not be."""

    words: FilePath | None = None
    """A file with one password a line, such as those that a set-up script gives; tried before the suite's own."""


class Backups(Section, frozen=True):
    """The nightly dumps."""

    directory: FilePath | None = None
    """Where they lie; not given: `backups` in the project's directory."""
    pattern: str = "synk_backup_%Y%m%d_%H%M%S.sql.gz"
    """Their names, with the time of the backup as strftime writes it."""
    zone: str = ""
    """The zone of the time in the name; empty: the host's."""
    retention: Span = Span(days=30)
    """After that time a backup is deleted."""
    in_bucket: bool = False
    """Whether they lie in the bucket of [offsite] alone, and on no disk."""
    command: str = "./backup.sh"
    """What a person types to make one, in the project's directory; empty: no script's name is said.

    It stands in remedies, and so in reports, and is never run: no secret belongs into it.
    """

    def __post_init__(self) -> None:
        codes = set(re.findall(r"%(.)", self.pattern))
        if not codes.issuperset("Ymd") or "/" in self.pattern:
            raise ValueError("pattern needs %Y, %m and %d, and is a file name without a directory")
        if unknown := codes - set("YmdHMS%"):
            raise ValueError(f"pattern may have %Y %m %d %H %M %S of strftime's codes, not %{min(unknown)}")
        if "`" in self.command or not self.command.isprintable():
            raise ValueError("command is one line, and has no ` in it: write $(…)")


class OffSite(Section, frozen=True):
    """Where copies of the backups lie that a fire doesn't reach: a bucket of an object store that speaks S3."""

    bucket: str = ""
    """Its name; empty: there is no such place, and none is looked at."""
    url: str = ""
    """The store's address, `https://…`; empty: Amazon's."""
    region: str = ""
    prefix: str = ""
    """What stands before a backup's name in its key, such as `synk/`."""
    access_key: Secret | None = None
    secret_key: Secret | None = None
    secret_key_file: FilePath | None = None
    """Neither given: what the store's usual variables and files say."""
    ca_file: FilePath | None = None
    """A private CA to trust instead of the system's."""

    def __post_init__(self) -> None:
        if self.secret_key is not None and self.secret_key_file is not None:
            raise ValueError("give either secret_key or secret_key_file, not both")
        if (self.access_key is None) != (self.secret_key is None and self.secret_key_file is None):
            raise ValueError("access_key goes with a secret_key or a secret_key_file")
        if self.url and (urlsplit(self.url).scheme not in {"http", "https"} or "@" in urlsplit(self.url).netloc):
            raise ValueError("url must be an http:// or https:// address without a user or password")
        if not self.bucket and (self.url or self.prefix or self.access_key is not None):
            raise ValueError("bucket isn't given, so nothing of the store would be looked at")


class OnCall(Section, frozen=True):
    """Who is told when something is wrong, and by what way."""

    url: Secret | None = None
    """The alert route, as Apprise writes it: `pagerduty://…`, `opsgenie://…`, `jsons://…`."""
    url_file: FilePath | None = None
    """A file with one such address a line."""
    rota: FilePath | None = None
    """Who is on call and when: a TOML file or an iCalendar file."""
    send_test: bool = False
    """Whether a test event, marked as one, may be sent in a run that allows disruption."""

    def __post_init__(self) -> None:
        if self.url is not None and self.url_file is not None:
            raise ValueError("give either url or url_file, not both")


class Restore(Section, frozen=True):
    """The restore drill: the newest backup is loaded into a PostgreSQL that is thrown away."""

    backup: str = ""
    """The file to restore; empty: the newest."""
    image: str = ""
    """An image with PostgreSQL to restore it in, as the engine has it; empty: that of the database's container."""
    memory: Size = Size(1024**3)
    """What the container may use."""
    cpus: Factor = Factor(2.0)
    """Likewise; it stands back where others want the processor, too."""
    disk_left: Size = Size(2 * 1024**3)
    """What must stay free on the engine's disk; the drill is not begun, or is ended, below it."""


class Records(Section, frozen=True):
    """What people have said: files that lie in version control."""

    attestations: FilePath | None = None
    """What only a person can do, and has done; not given: attestations.toml beside the target file."""
    waivers: FilePath | None = None
    """What is known to be broken, who has allowed that, and until when; not given: waivers.toml beside it."""


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
    exploit_paths: Annotated[list[Pattern], Meta(min_length=1)] = field(
        default_factory=lambda: [
            Pattern(r"\.php"),
            Pattern(r"\.jsp"),
            Pattern(r"admin"),
            Pattern(r"wp-"),
            Pattern(r"/\.(env|git|aws|ssh)\b"),
            Pattern(r"/etc/passwd"),
        ]
    )
    """Paths that nobody asks for but to break in; held against the decoded path in lower case."""
    exploit_requests: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    """So many of the last requests are looked at."""
    known_clients: list[Network] = []
    """Clients that may be out of line with the rest: monitors, crawlers that are wanted, an office."""


class Loki(Section, frozen=True):
    """Loki, where the containers' logs are kept there and not by the engine."""

    url: str = ""
    """Its address, `http://…` or `https://…`; empty: logs are read from the engine."""
    selector: str = '{compose_project="$project", compose_service="$service"}'
    """Which streams are a service's: `$project` and `$service` are filled in."""
    tenant: str = ""
    """What is sent as `X-Scope-OrgID`."""
    user: str = ""
    password: Secret | None = None
    password_file: FilePath | None = None
    token: Secret | None = None
    token_file: FilePath | None = None
    ca_file: FilePath | None = None
    """A private CA to trust instead of the system's."""

    def __post_init__(self) -> None:
        if self.url and (urlsplit(self.url).scheme not in {"http", "https"} or "@" in urlsplit(self.url).netloc):
            raise ValueError("url must be an http:// or https:// address without a user or password")
        if "$service" not in self.selector:
            raise ValueError("selector has no $service: every service would have the same lines")
        if sum(one is not None for one in (self.password, self.password_file, self.token, self.token_file)) > 1:
            raise ValueError("give one of password, password_file, token and token_file")


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
    exploit_probes: Count = Count(0)
    endpoint_floor: Count = Count(20)
    """A route with fewer requests than this is not judged."""
    slow_query_log: Span = Span(milliseconds=1000)
    """The database must log every statement that takes so long, or longer."""
    lookups_per_request: Factor = Factor(20)
    """A lookup of a single row may run so many times as often as requests come."""
    lookups_floor: Count = Count(1000)
    """A lookup that ran less often than this is not judged."""
    cache_hits: Share = Share(0.80)
    cache_floor: Count = Count(1000)
    """Of fewer lookups than this no share is judged."""
    table_floor: Count = Count(10_000)
    """Tables with fewer rows than this are not judged."""
    sequential_scans: Share = Share(0.5)
    """Of all scans of a table, so many may read it from end to end."""
    sequential_floor: Count = Count(100)
    """Fewer scans from end to end than this are none: dumps and reports make some."""
    statistics_age: Span = Span(hours=24)
    """Counters that were set back more lately than this tell nothing."""
    table_growth: Share = Share(0.8)
    """Of the database's growth one table may have made so much."""
    data_retention: Span = Span(days=366)
    """No activity may be older: the guide's year, which may be a leap year."""
    dead_rows: Share = Share(0.20)
    analyzed_age: Span = Span(days=7)
    transaction_age: Share = Share(0.5)
    """Of the transactions until numbers run out, so many may have passed unfrozen."""
    scale_users: Count = Count(1000)
    scale_backends: Annotated[int, Meta(ge=2, le=1000)] = 2
    """So many containers of the backend are several."""
    scale_response: Span = Span(seconds=1)
    scale_cpu: Share = Share(0.80)
    scale_disk: Share = Share(0.80)
    scale_errors: Share = Share(0.01)
    restart_time: Span = Span(minutes=2)
    """The backend must be healthy again so soon after a restart."""
    recovery_time: Span = Span(minutes=2)
    """The stack must be healthy again so soon after the backend was killed."""
    docker_reclaimable: Share = Share(0.20)
    """Of the disk of Docker's data, what nobody uses may take so much."""
    docker_reclaimable_floor: Size = Size(1024**3)
    """Less than this is not judged."""
    backups_share: Share = Share(0.25)
    """Of their disk, all backups together may take so much."""
    offsite_delay: Span = Span(hours=24)
    """A backup must have a copy off site when it is so old."""
    connections_used: Share = Share(0.80)
    """Of max_connections without what is reserved."""
    idle_connection: Span = Span(minutes=30)
    on_call_test: Span = Span(days=92)
    """The alert route must have taken a test event so lately."""
    restore_row_change: Share = Share(0.10)
    """A table may have changed by so much of its rows since the backup."""
    restore_row_floor: Count = Count(100)
    """A change of no more rows than this is none, whatever its share."""
    restore_age: Span = Span(hours=24)
    """The newest activity in a backup may be so much older than the backup."""
    drill_interval: Span = Span(days=28)
    """The next restore drill is so long after the last."""
    pbkdf2_iterations: Count = Count(600_000)
    """For SHA-256, by the OWASP Password Storage Cheat Sheet, as are the next three."""
    pbkdf2_sha1_iterations: Count = Count(1_300_000)
    argon2_memory: Size = Size(19 * 1024**2)
    argon2_time: Count = Count(2)
    bcrypt_cost: Count = Count(10)
    scrypt_n: Count = Count(2**14)
    """Django's own; it goes with a parallelism of 5."""
    user_share: Share = Share(0.5)
    """One user may have made so much of a month's activity."""
    user_share_floor: Count = Count(50)
    """Of fewer rows of activity than this nobody's share is judged."""
    growth_left: Span = Span(days=90)
    """At the rate of the last weeks the disk must last for so long."""
    growth_history: Span = Span(days=14)
    """A rate is told from so much history, and no less."""
    growth_floor: Size = Size(10 * 1024**2)
    """Growth of fewer bytes a day than this is none."""
    npm_severity: Severity = Severity("medium")
    """Advisories of npm packages count from this severity on."""
    scan_risk: Severity = Severity("medium")
    """What the dynamic scan finds counts from this risk on."""
    login_refusals: Count = Count(10)
    """One client's refused logins within windows.refused_logins."""
    client_deviation: Factor = Factor(6.0)
    """A client may be so many robust standard deviations off the rest."""
    client_floor: Count = Count(500)
    """A client with fewer requests than this is not judged; nor is what is fewer beyond the usual."""
    image_age: Span = Span(days=183)
    """An image may be so old: what it is made of has had two quarters' fixes since."""
    role_unused: Span = Span(days=92)
    """A login role that nobody was seen to use for so long is a forgotten one."""
    disaster_recovery: Span = Span(hours=2)
    """The newest backup must be restored and verified in less."""
    attested_month: Span = Span(days=31)
    attested_quarter: Span = Span(days=92)
    attested_year: Span = Span(days=366)

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
    activity: Span = Span(days=30)
    """The guide's month."""
    access_log: Span = Span(days=90)
    """For the quarter's look at who asked for what."""
    refused_logins: Span = Span(minutes=5)
    """Refused logins are counted together within any stretch of this length."""
    cpu: Span = Span(seconds=2)
    """The database's use of the processor is measured over so long."""


class Coverage(Section, frozen=True):
    """How much must have been seen for a verdict; less is *can't tell*."""

    log_window: Share = Share(0.5)
    """Share of its window that a log must reach back over."""
    unparsed: Share = Share(0.01)
    """Share of a log's lines that may be unreadable."""
    access_log: Span = Span(days=7)
    """The quarter's look at the access log must reach back for so long."""
    scan: Share = Share(0.95)
    """Share of the dynamic scan's requests that the site must have looked at: neither refused nor left unanswered."""


class Timeouts(Section, frozen=True):
    """Total time limits, of our own: the libraries' are per read."""

    site: Span = Span(seconds=10)
    engine: Span = Span(seconds=10)
    database: Span = Span(seconds=5)
    host: Span = Span(seconds=10)
    logs: Span = Span(seconds=60)
    backup: Span = Span(minutes=10)
    """For reading one backup to its end."""
    restore: Span = Span(hours=2)
    """For a whole restore drill."""
    counting: Span = Span(minutes=5)
    """For counting the rows of the live database."""
    security_script: Span = Span(minutes=5)
    dependencies: Span = Span(minutes=2)
    """For one package manager's answer."""
    passwords: Span = Span(seconds=30)
    """For trying common passwords against the administrators' hashes."""
    commands: Span = Span(seconds=30)
    """For one of Django's commands in the backend's container."""
    disk_usage: Span = Span(seconds=60)
    """For the engine's adding up of what its images, containers and volumes take."""
    access_log: Span = Span(minutes=10)
    """For reading the quarter's access logs."""
    scan: Span = Span(minutes=10)
    """For the whole dynamic scan."""
    tls: Span = Span(minutes=2)
    """For trying all that a TLS client can ask for."""
    offsite: Span = Span(seconds=20)
    on_call: Span = Span(seconds=15)
    alerts: Span = Span(seconds=30)
    """For telling everybody of everything, and for each request of the heartbeat."""
    overlap: Span = Span(minutes=10)
    """How long a run waits for another on the same target to end."""
    triage: Span = Span(seconds=1.5)
    """In a run of `triage` nothing is waited for any longer, but for Django, which may take twice that to start."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0.01 <= getattr(self, name).total_seconds() <= 86400:
                raise ValueError(f"{name} is {getattr(self, name)}: nothing answers so fast, or is waited for so long")


class Report(Section, frozen=True):
    """Where reports and the history go; relative defaults are relative to the project's root."""

    html: FilePath = FilePath("reports/{cadence}-{time}.html")
    xml: FilePath = FilePath("reports/{cadence}-{time}.xml")
    json: FilePath = FilePath("reports/{cadence}-{time}.json")
    """The run in the Common Test Report Format."""
    metrics: FilePath | None = None
    """A file for node_exporter's textfile collector, which ends in `.prom`."""
    markdown: FilePath | None = None
    """What a chat or an issue gets. A review writes one in any case."""
    history: FilePath = FilePath(".ops/history.sqlite")
    history_kept: Span = Span(days=400)
    """How long runs, outcomes and figures are kept."""

    def __post_init__(self) -> None:
        # The longest window that is looked back over, and some more.
        if not 100 <= self.history_kept.days <= 3660:
            raise ValueError(f"history_kept is {self.history_kept}: give 100 to 3,660 days")
        if self.metrics is not None and self.metrics.suffix != ".prom":
            raise ValueError(f"metrics is {self.metrics}: the textfile collector reads files that end in .prom alone")


class Alerts(Section, frozen=True):
    """Who is told of what a run has found; only runs with `--alert` tell anybody."""

    url: Secret | None = None
    """One address, as Apprise writes it; with neither this nor url_file the route of [on_call] is used."""
    url_file: FilePath | None = None
    """A file with one such address a line."""
    severity: Literal["critical", "major", "minor"] = "major"
    """The least severity that somebody is told of."""
    again_after: Annotated[int, Meta(ge=0, le=1000)] = 7
    """After how many runs what is still so is told again; 0 for never."""
    heartbeat: Secret | None = None
    """An address that is asked when a run begins and ends, so that its silence is noticed: `https://hc-ping.com/…`."""
    heartbeat_file: FilePath | None = None
    """A file with that address."""

    def __post_init__(self) -> None:
        if self.url is not None and self.url_file is not None:
            raise ValueError("give either url or url_file, not both")
        if self.heartbeat is not None and self.heartbeat_file is not None:
            raise ValueError("give either heartbeat or heartbeat_file, not both")


class Target(Section, frozen=True):
    """Everything a run needs to know about the system it looks at."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
    project: Project
    disposable: bool = False
    """Whether nobody depends on it, as on a lab: drills then need no confirmation by its name."""
    services: Services = Services()
    engine: Engine = Engine()
    host: Host = Host()
    hosts: list[OtherHost] = []
    """Other machines of the same target."""
    site: Site = Site()
    certificate: Certificate = Certificate()
    database: Database = Database()
    application: Application = Application()
    dependencies: Dependencies = Dependencies()
    containers: Containers = Containers()
    scan: Scan = Scan()
    tls: Tls = Tls()
    passwords: Passwords = Passwords()
    backups: Backups = Backups()
    offsite: OffSite = OffSite()
    on_call: OnCall = OnCall()
    restore: Restore = Restore()
    records: Records = Records()
    not_applicable: dict[str, Reason] = {}
    """Slug, or slug and item as `disk-space[docker]`, to the reason why it doesn't apply here."""
    logs: Logs = Logs()
    loki: Loki = Loki()
    limits: Limits = Limits()
    windows: Windows = Windows()
    coverage: Coverage = Coverage()
    timeouts: Timeouts = Timeouts()
    report: Report = Report()
    alerts: Alerts = Alerts()

    def __post_init__(self) -> None:
        if len({one.name for one in self.hosts}) != len(self.hosts):
            raise ValueError("a name stands twice in hosts")
        if self.backups.in_bucket and not self.offsite.bucket:
            raise ValueError("backups.in_bucket is true, and offsite.bucket doesn't say which bucket")
        # Tests are collected without asking anybody: what they are made for must be known before.
        where = self.host.url if self.elsewhere else "a Swarm"
        if not self.services.names and (self.elsewhere or self.project.orchestrator == "swarm"):
            raise ValueError(f"services.names is missing: {where} can't be asked before the run; `make target` does it")
        if self.elsewhere and not self.host.zone:
            raise ValueError(f'host.zone is missing ("Etc/UTC", say): days are those of {where}')

    @property
    def elsewhere(self) -> bool:
        """Whether the stack's host is another machine than this one."""
        return self.host.url != "local://"

    @property
    def backup_directory(self) -> Path:
        """Where the backups lie."""
        return self.backups.directory or self.project.directory / "backups"

    @property
    def npm_directory(self) -> Path:
        """Where package.json lies."""
        return self.dependencies.npm_directory or self.project.directory / "frontend"

    @property
    def certificate_file(self) -> Path | None:
        """Where the certificate lies with its chain; None where it isn't on this host, or nothing says where."""
        host = urlsplit(self.site.url).hostname
        if not self.certificate.on_disk:
            return None
        if self.certificate.file is not None:
            return self.certificate.file
        return Path("/etc/letsencrypt/live", host, "fullchain.pem") if host else None
