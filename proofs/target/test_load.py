"""A target is read as it is meant, and what is wrong with it is said in one line that tells how to mend it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import fields

from proofs.users import nobody
from target.kinds import Secret
from target.load import Loaded, TargetError, database_password, load, offsite_secret_key
from target.model import Section, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXAMPLE = Path(__file__).resolve().parents[2] / "target.example.toml"
LEAST = 'name = "synk"\n[project]\nname = "synk"\ndirectory = "/srv/synk"\n'


@dataclass
class Place:
    """A directory with a target file in it."""

    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.directory / "target.toml"

    def read(self, text: str, **variables: str) -> Loaded:
        self.file.write_text(text, encoding="utf-8")
        return load(self.file, variables)

    def refuse(self, text: str, **variables: str) -> str:
        """What is said of a text that can't be used, the file's path left out."""
        with pytest.raises(TargetError) as raised:
            self.read(text, **variables)
        return str(raised.value).replace(str(self.file), "target.toml")


@pytest.fixture(autouse=True)
def _secrets_of_a_test_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Secret, "_known", set())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """For the properties, which try many texts in one place."""
    return Place(tmp_path_factory.mktemp("target"))


def test_a_name_and_a_project_are_enough(place: Place) -> None:
    target = place.read(LEAST).target
    assert target == Target(name="synk", project=target.project)
    assert target.backup_directory == Path("/srv/synk/backups")


def test_an_unknown_key_is_said_with_its_line_and_the_key_that_was_meant(place: Place) -> None:
    said = place.refuse(LEAST + '\n[limits]\n# a note\ndisc_used = "80 %"\n')
    assert said.startswith("target.toml:8: limits.disc_used: there is no such setting (did you mean limits.disk_used?)")


def test_an_unknown_table_is_said_with_its_line(place: Place) -> None:
    assert "target.toml:5: limit: there is no such setting (did you mean limits?)" in place.refuse(LEAST + "[limit]\n")


def test_a_key_like_no_other_is_said_without_a_guess(place: Place) -> None:
    said = place.refuse(LEAST + "[limits]\nqqqqqq = 1\n")
    assert "limits.qqqqqq: there is no such setting. target.example.toml lists them all" in said


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("[limits]\ndatabase_connections = -1", "limits.database_connections: a count is a whole number, 0 or more"),
        ("[limits]\ndatabase_connections = 0", "limits: database_connections is 0, which nothing that runs"),
        ("[limits]\ndisk_used = 80", "limits.disk_used: a share lies between 0 and 1"),
        ('[limits]\nbackup_age = "-1 h"', "limits.backup_age: a span of time is written with its unit"),
        ("[limits]\nbackup_age = 24", "limits.backup_age: a span of time is written with its unit"),
        ('[limits]\nbackup_size_min = "60 MiB"', "limits: backup_size_min is above backup_size_max"),
        ("[limits]\nbackup_steady_low = 3.0", "limits: backup_steady_low is not below backup_steady_high"),
        ("[limits]\nbackup_steady_low = 0", "limits.backup_steady_low: a factor is a number above 0"),
        ("[database]\nport = 70000", "database.port: expected `int` <= 65535, not '70000'"),
        ('[database]\nport = "5432"', "database.port: expected `int | null`, got `str`, not '5432'"),
        ('[database]\npassword = "a"\npassword_file = "b"', "database: give either password or password_file"),
        ('[site]\nurl = "http://x/"', "site: url must be an https:// address"),
        ('[site]\nurl = "https://"', "site: url must be an https:// address"),
        ('[site]\nurl = "https://a:b@x/"', "site: url must be an https:// address with a host, without a user"),
        ('[site]\nurl = "https://x:99999/"', "site: Port out of range"),
        ('[site]\nurl = "https://[::1/"', "site: Invalid IPv6 URL"),
        ('[site]\nurl = "https://x/app/"', "site: url is the site's address alone"),
        ('[site]\nurl = "https://x/?q=1"', "site: url is the site's address alone"),
        ("[site]\npaths = []", "site.paths: expected `array` of length >= 1"),
        ('[site]\npaths = ["/", "/"]', "site: a path stands twice in paths"),
        ('[site]\npaths = ["api"]', "site: 'api' is no path of a site"),
        ("[site]\npaths = [1]", "site.paths: expected `str`, got `int` (at [0])"),
        ('[site]\nhealth = "/a b"', "site: '/a b' is no path of a site"),
        ('[site]\nconnect_to = "127.0.0.1"', "site.connect_to: expected `str` matching"),
        ('[site]\nconnect_to = "127.0.0.1:70000"', "site: connect_to has no port that can be: 127.0.0.1:70000"),
        ('[site]\nhttp_connect_to = "127.0.0.1:0"', "site: http_connect_to has no port that can be"),
        ('[site]\nca_file = ""', "site.ca_file: a path is a text in quotes that isn't empty"),
        ('[backups]\npattern = "dump.sql"', "backups: pattern needs %Y, %m and %d"),
        ('[backups]\npattern = "%%Y%%m%%d"', "backups: pattern needs %Y, %m and %d"),
        ('[backups]\npattern = "a/%Y%m%d"', "backups: pattern needs %Y, %m and %d, and is a file name"),
        ('[backups]\npattern = "%Y%m%d%j"', "backups: pattern may have %Y %m %d %H %M %S of strftime's codes, not %j"),
        ('[logs]\nclient_errors = ["("]', "logs.client_errors: it is no regular expression: missing )"),
        ("[logs]\nrefused_status = 200", "logs.refused_status: expected `int` >= 400"),
        ('[host]\nurl = "http://x"', "host.url: expected `str` matching"),
        ('[host]\nurl = "ssh://x"', "services.names is missing: ssh://x can't be asked before the run"),
        (
            '[services]\nnames = ["db", "backend"]\n[host]\nurl = "ssh://x"',
            'host.zone is missing ("Etc/UTC", say): days are those of ssh://x',
        ),
        ('[services]\nnames = ["db"]', "services: backend is 'backend', which isn't among names (db)"),
        ('[services]\nnames = ["db", "db"]', "services: a service stands twice in names"),
        ('[services]\nbackend = ""', "services: backend is empty"),
        (2 * '[[hosts]]\nname = "b"\nurl = "ssh://b"\n', "a name stands twice in hosts"),
        ('[host]\nurl = "ssh://ops:word@x"', "host.url: expected `str` matching"),
        ('[host]\nurl = "ssh://-oProxyCommand=x"', "host.url: expected `str` matching"),
        ('[[hosts]]\nname = "b"', "hosts: "),
        ("[backups]\nin_bucket = true", "offsite.bucket doesn't say which bucket"),
        ('[database]\nservice = "a"\ndsn_file = "b"', "database: give one of service, dsn and dsn_file"),
        ('[loki]\nurl = "https://u:p@loki/"', "loki: url must be an http:// or https:// address"),
        ('[loki]\nselector = "{app=\'x\'}"', "loki: selector has no $service"),
        ('[loki]\npassword_file = "a"\ntoken_file = "b"', "loki: give one of password, password_file"),
        ('[host.filesystems]\nroot = "/"', "host: the file system 'root' is watched anyway"),
        ('[host.filesystems]\n"Ä" = "/"', "host.filesystems: expected `str` matching"),
        ("[services]\nwanted = { backend = -1 }", "services.wanted: a count is a whole number"),
        ('[timeouts]\nsite = "1 ms"', "timeouts: site is 1 ms: nothing answers so fast"),
        ('[timeouts]\nlogs = "2 d"', "timeouts: logs is 48 h"),
        ("limits = 3", "limits: it is a table: write [limits] above its keys"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said_with_what_would(place: Place, setting: str, said: str) -> None:
    text = f"{setting}\n{LEAST}" if setting.startswith("limits =") else LEAST + setting
    problems = place.refuse(text)
    assert len(problems.splitlines()) == 1, problems
    assert said in problems
    assert problems.startswith("target.toml")


def test_what_is_missing_is_said(place: Place) -> None:
    assert place.refuse('name = "synk"\n').startswith("target.toml: project: it is missing")
    assert "target.toml: project.directory: it is missing" in place.refuse('name = "x"\n[project]\nname = "x"')


def test_all_that_is_wrong_is_said_at_once(place: Place) -> None:
    said = place.refuse(LEAST + '[limits]\ndisk_used = 80\nbackup_age = 1\n[sight]\nurl = ""\n', OPS_NONSENSE="1")
    assert len(said.splitlines()) == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name = ", "it is no valid TOML: Invalid value"),
        (b"= 1", "it is no valid TOML: Invalid statement (at line 1, column 1)"),
        (b"a = 1\na = 2", "it is no valid TOML: Cannot overwrite a value"),
        (b"a = " + b"[" * 100_000, "it is no valid TOML"),
        (b"a = " + b"9" * 5000, "it is no valid TOML"),
        (b'name = "\xff"', "it is not UTF-8 text (byte 8)"),
        ("name = 'ä'".encode("utf-16"), "it is not UTF-8 text (byte 0)"),
        (b"", "name: it is missing"),
    ],
)  # fmt: skip
def test_a_file_that_cant_be_read_is_said_in_a_sentence(place: Place, content: bytes, said: str) -> None:
    place.file.write_bytes(content)
    with pytest.raises(TargetError) as raised:
        load(place.file, {})
    assert f"{place.file}: {said}" in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_missing_file_says_the_two_ways_out(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"target\.example\.toml.*make lab-up, then --target lab"):
        load(tmp_path / "none.toml", {})


def test_a_directory_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="it is a directory; name the file in it"):
        load(tmp_path, {})


def test_a_file_that_may_not_be_read_says_so(place: Place) -> None:
    place.file.write_text(LEAST, encoding="utf-8")
    place.file.chmod(0)
    with nobody(), pytest.raises(TargetError, match=r"it can't be read: Permission denied\.$"):
        load(place.file, {})


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(place: Place) -> None:
    place.file.write_bytes(b"\xef\xbb\xbf" + LEAST.replace("\n", "\r\n").encode())
    assert load(place.file, {}).target.name == "synk"


def test_a_variable_wins_over_the_file_and_says_so(place: Place) -> None:
    loaded = place.read(LEAST + '[limits]\ndisk_used = "90 %"\nerror_rate = 0.5\n', OPS_LIMITS__DISK_USED="85 %")
    assert loaded.limits.disk_used.source == "limits.disk_used, OPS_LIMITS__DISK_USED"
    assert str(loaded.limits.disk_used) == "85 %"
    assert loaded.limits.error_rate.source == "limits.error_rate, target.toml"
    assert loaded.limits.backup_age.source == "limits.backup_age, the guide's default"


@pytest.mark.parametrize(
    ("variable", "written", "read"),
    [
        ("OPS_LIMITS__DISK_USED", "0.7", 0.7),
        ("OPS_LIMITS__DATABASE_CONNECTIONS", "30", 30),
        ("OPS_SITE__PATHS", '["/", "/api/"]', ["/", "/api/"]),
        ("OPS_SITE__URL", "https://example.org/", "https://example.org/"),
        ("OPS_DATABASE__NAME", "2024", "2024"),
        ("OPS_DATABASE__USER", "true", "true"),
        ("OPS_DATABASE__HOST", "", ""),
        ("OPS_DATABASE__NAME", "a\nb = 2", "a\nb = 2"),
        ("OPS_DATABASE__NAME", "1\nb = 2", "1\nb = 2"),
        ("OPS_LOGS__ACCESS", "/var/log/1", Path("/var/log/1")),
        ("OPS_HOST__FILESYSTEMS__MEDIA", "/srv/media", Path("/srv/media")),
        ("OPS_SERVICES__WANTED__BACKEND", "2", 2),
    ],
)
def test_a_variable_needs_no_quotes(place: Place, variable: str, written: str, read: object) -> None:
    value: Any = place.read(LEAST, **{variable: written}).target
    for part in variable.removeprefix("OPS_").lower().split("__"):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    assert value == read


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("OPS_LIMITS__DISC_USED", "there is no setting limits.disc_used (did you mean limits.disk_used?)"),
        ("OPS_LIMTS__DISK_USED", "there is no setting limts.disk_used"),
        ("OPS_", "there is no setting "),
        ("OPS_DEBUG", "there is no setting debug"),
        ("OPS_LIMITS", "it is a table; set its keys, as in OPS_LIMITS__KEY=value"),
        ("OPS_HOST__FILESYSTEMS__A__B", "there is no setting host.filesystems.a.b"),
    ],
)
def test_a_variable_that_is_no_setting_is_an_error(place: Place, variable: str, said: str) -> None:
    assert place.refuse(LEAST, **{variable: "1"}).startswith(f"{variable}: {said}")


def test_a_wrong_variable_is_named_instead_of_the_file(place: Place) -> None:
    said = place.refuse(LEAST, OPS_LIMITS__DISK_USED="lots")
    assert said.startswith("OPS_LIMITS__DISK_USED: limits.disk_used: a share lies between 0 and 1")


def test_variables_of_others_and_the_suites_own_are_left_alone(place: Place) -> None:
    place.read(LEAST, OPS_TARGET="lab", OPSX="1", PATH="/bin", ops_limits="1")


def test_the_environment_of_the_process_is_read_when_none_is_given(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.file.write_text(LEAST, encoding="utf-8")
    monkeypatch.setenv("OPS_NAME", "from-outside")
    assert load(place.file).target.name == "from-outside"


def test_relative_paths_are_relative_to_the_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    text = LEAST.replace("/srv/synk", "stack") + '[database]\npassword_file = "pw"\n[project.x]\n'
    target = place.read(text.replace("[project.x]\n", "")).target
    assert target.project.directory == place.directory / "stack"
    assert target.backup_directory == place.directory / "stack" / "backups"
    assert target.database.password_file == place.directory / "pw"


@pytest.mark.parametrize("written", ["correct-horse", "12345678", "[1, 2]", 'quo"ted', "'single'"])
def test_a_password_in_a_variable_is_taken_as_it_stands_and_never_shown(place: Place, written: str) -> None:
    loaded = place.read(LEAST, OPS_DATABASE__PASSWORD=written)
    password = loaded.target.database.password
    assert password is not None
    assert password.reveal() == written
    assert written not in repr(loaded)


def test_a_password_of_the_file_is_never_shown(place: Place) -> None:
    loaded = place.read(LEAST + '[database]\npassword = "correct-horse"\n')
    assert "horse" not in repr(loaded) + str(loaded)
    assert "correct-horse" in Secret.known()


@pytest.mark.parametrize("written", ["12345678", '["correct-horse"]', "'correct-horse"])
def test_a_wrong_password_is_refused_without_being_repeated(place: Place, written: str) -> None:
    said = place.refuse(LEAST + f"[database]\npassword = {written}\n")
    assert "horse" not in said
    assert "1234" not in said


def test_a_password_file_is_read_without_its_line_end(place: Place) -> None:
    (place.directory / "pw").write_text("correct horse \n", encoding="utf-8")
    password = database_password(place.read(LEAST + '[database]\npassword_file = "pw"\n').target)
    assert password is not None
    assert password.reveal() == "correct horse "


def test_a_missing_password_file_says_what_to_do(place: Place) -> None:
    target = place.read(LEAST + '[database]\npassword_file = "pw"\n').target
    with pytest.raises(TargetError, match=r"pw: there is no such file\. Write the password into it"):
        database_password(target)


def test_no_password_is_no_error(place: Place) -> None:
    assert database_password(place.read(LEAST).target) is None


STORE = '[offsite]\nbucket = "copies"\naccess_key = "AKIA"\n'


def test_a_secret_key_is_read_from_the_settings_or_its_file(place: Place) -> None:
    (place.directory / "sk").write_text("correct/horse\n", encoding="utf-8")
    for written in ('secret_key = "correct/horse"\n', 'secret_key_file = "sk"\n'):
        key = offsite_secret_key(place.read(LEAST + STORE + written).target)
        assert key is not None
        assert key.reveal() == "correct/horse"
    assert offsite_secret_key(place.read(LEAST).target) is None


def test_a_missing_secret_key_file_says_what_to_do(place: Place) -> None:
    target = place.read(LEAST + STORE + 'secret_key_file = "sk"\n').target
    with pytest.raises(TargetError, match=r"sk: there is no such file\. Write the secret key into it"):
        offsite_secret_key(target)


@pytest.mark.parametrize("name", ["ON_CALL__URL", "ALERTS__URL", "ALERTS__HEARTBEAT"])
def test_an_address_with_a_key_is_in_no_error(place: Place, name: str) -> None:
    variables = {f"OPS_{name}": '["json://host/key-7391"]', "OPS_SITE__NOWHERE": "1"}
    assert "key-7391" not in place.refuse(LEAST, **variables)


# The example file -------------------------------------------------------------------------------------------------

COMMENTED = re.compile(r"# (?P<key>[a-z_]+) = (?P<value>.*?)(?:\s{2,}#.*|\s+# .*)?")
ONLY_EXAMPLES = {
    "services.wanted",
    "host.ssh_config",
    "host.filesystems",
    "database.service_file",
    "database.dsn_file",
    "database.ca_file",
    "loki.password_file",
    "loki.token_file",
    "loki.ca_file",
    "site.ca_file",
    "certificate.file",
    "database.port",
    "backups.directory",
    "logs.admin",
    "logs.varying",
    "dependencies.npm_directory",
    "passwords.words",
    "offsite.ca_file",
    "on_call.url_file",
    "on_call.rota",
    "records.attestations",
    "records.waivers",
    "not_applicable.cache-used",
    "containers.capabilities",
    "report.metrics",
    "report.markdown",
    "alerts.url_file",
    "alerts.heartbeat_file",
}
"""Keys whose default is to have none, so that the example shows a value of its own."""


def commented() -> Iterator[tuple[str, str, str]]:
    """Table, key and value of each default that stands commented out in the example."""
    table = ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            table = line.strip("[] ").partition("]")[0]
        elif (match := COMMENTED.fullmatch(line)) and "…" not in line:
            yield table, match["key"], match["value"]


def test_the_example_is_a_target() -> None:
    assert load(EXAMPLE, {}).target.site.url == "https://yourdomain.com/"


@pytest.mark.parametrize(("table", "key", "value"), list(commented()))
def test_a_default_of_the_example_is_the_default(shared: Place, table: str, key: str, value: str) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    before, header, after = text.partition(f"[{table}]") if table else ("", "", text)
    uncommented = after.replace(f"\n# {key} = {value}", f"\n{key} = {value}", 1)
    assert uncommented != after
    read: Any = shared.read(before + header + uncommented).target
    default: Any = load(EXAMPLE, {}).target
    for part in filter(None, (table, key)):
        read, default = getattr(read, part), getattr(default, part)
    if f"{table}.{key}" in ONLY_EXAMPLES:
        assert not default
        assert read
    elif isinstance(read, Path):
        assert Path(read).relative_to(shared.directory) == default
    else:
        assert read == default


def test_the_example_names_every_setting() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    named: dict[str, set[str]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("["):
            table = line[1 : line.index("]")]
        elif match := re.match(r"(?:# )?([a-z0-9_]+) = ", line):
            named.setdefault(table, set()).add(match[1])
    # The file is no place for a secret.
    unsaid = {
        *("database.password", "database.dsn", "offsite.secret_key", "on_call.url", "alerts.url", "alerts.heartbeat"),
        *("loki.password", "loki.token"),
    }
    for section in fields(Target):
        if isinstance(section.type, type) and issubclass(section.type, Section):
            wanted = {one.name for one in fields(section.type)}
            missing = wanted - named.get(section.name, set())
            assert {f"{section.name}.{name}" for name in missing} <= unsaid


# Whatever is written ----------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["name", "limits", "site", "project", "disk_used", "url", "paths", "x"]) | st.text(
    st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=8
)
VALUES = st.recursive(
    st.integers(-10, 10) | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(one):08x}" for one in value) + '"'
    return str(value)


@given(data=st.dictionaries(KEYS, VALUES, max_size=5))
@example(data={"limits": {"disk_used": {"a": 1}}})
def test_any_toml_is_a_target_or_an_error_in_words(shared: Place, data: dict[str, Any]) -> None:
    text = "\n".join(f"{toml(key)} = {toml(value)}" for key, value in data.items())
    assert set(tomllib.loads(text)) == set(data)
    shared.file.write_text(text, encoding="utf-8")
    with pytest.raises(TargetError) as raised:
        load(shared.file, {})
    assert all(line.startswith(f"{shared.file}") for line in str(raised.value).splitlines())


@given(content=st.binary(max_size=200))
def test_any_bytes_are_an_error_in_words(shared: Place, content: bytes) -> None:
    shared.file.write_bytes(content)
    with pytest.raises(TargetError):
        load(shared.file, {})


@given(name=st.text(st.characters(codec="utf-8", exclude_characters="=\0"), max_size=20), value=st.text(max_size=20))
def test_any_variable_is_a_setting_or_an_error_in_words(shared: Place, name: str, value: str) -> None:
    shared.file.write_text(LEAST, encoding="utf-8")
    with pytest.raises(TargetError, match=re.escape(f"OPS_x{name}: there is no setting")):
        load(shared.file, {f"OPS_x{name}": value})
