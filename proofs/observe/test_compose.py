"""What Compose would want, read from the files that it would read."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from observe.compose import (
    Definition,
    OddInt,
    Wanted,
    _env_file,
    compose_files,
    interpolated,
    service_definitions,
    wanted_services,
)
from observe.errors import CannotTell
from proofs.users import nobody

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Project:
    directory: Path

    def write(self, text: str, name: str = "docker-compose.yml") -> Path:
        (self.directory / name).parent.mkdir(exist_ok=True)
        (self.directory / name).write_text(dedent(text), encoding="utf-8")
        return self.directory / name

    def wants(self, **arguments: object) -> dict[str, int]:
        return {one.name: one.containers for one in wanted_services(self.directory, **arguments)}  # type: ignore[arg-type]

    def defines(self, name: str = "web") -> Definition:
        return service_definitions(self.directory).services[name]

    def refuses(self) -> CannotTell:
        with pytest.raises(CannotTell) as raised:
            self.wants()
        return raised.value


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMPOSE_FILE", "COMPOSE_PROFILES", "REPLICAS", "UNSET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_every_service_is_wanted_once_in_the_order_of_the_file(project: Project) -> None:
    project.write("services: {web: {image: x}, db: {}, cache: }")
    assert list(project.wants().items()) == [("web", 1), ("db", 1), ("cache", 1)]


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ("scale: 2", 2),
        ("deploy: {replicas: 3}", 3),
        ("scale: 2\n    deploy: {replicas: 3}", 2),
        ("scale: '${REPLICAS:-4}'", 4),
        ("scale: ${REPLICAS:-${MORE:-5}}", 5),
        ("deploy: {mode: global}", 1),
        ("deploy: ", 1),
    ],
)
def test_so_many_containers_are_wanted_as_the_file_says(project: Project, body: str, number: int) -> None:
    project.write("services:\n  web:\n    " + body)
    assert project.wants() == {"web": number}


@pytest.mark.parametrize("body", ["scale: 0", "deploy: {replicas: 0}"])
def test_a_service_of_none_is_not_wanted(project: Project, body: str) -> None:
    project.write(f"services:\n  db:\n  web:\n    {body}")
    assert project.wants() == {"db": 1}


@pytest.mark.parametrize("number", ["lots", "1.5", "true", "${UNSET}", "[1]"])
def test_a_number_that_is_none_is_said_with_the_setting_to_use(project: Project, number: str) -> None:
    project.write(f"services:\n  web:\n    scale: {number}")
    said = project.refuses()
    assert "containers of web, which is no number" in str(said)
    assert said.mend == "Set services.wanted.web in the target."


def test_the_settings_win_over_the_file(project: Project) -> None:
    project.write("services: {web: {scale: 1}, db: {}}")
    found = wanted_services(project.directory, counts={"web": 3, "db": 0, "worker": 1})
    assert found == (
        Wanted("web", 3, False, "services.wanted.web"),
        Wanted("worker", 1, False, "services.wanted.worker"),
    )


def test_a_service_that_others_wait_for_to_end_is_a_job(project: Project) -> None:
    project.write(
        """
        services:
          migrate: {}
          web: {depends_on: {migrate: {condition: service_completed_successfully}, db: {condition: service_healthy}}}
          worker: {depends_on: [db]}
          db:
        """
    )
    assert {one.name for one in wanted_services(project.directory) if one.job} == {"migrate"}


# Profiles -----------------------------------------------------------------------------------------------------------

PROFILES = "services: {web: {}, admin: {profiles: [debug, tools]}, load: {profiles: [bench]}}"


def test_a_service_of_a_profile_that_is_off_is_not_wanted(project: Project) -> None:
    project.write(PROFILES)
    assert set(project.wants()) == {"web"}
    assert set(project.wants(profiles=("tools",))) == {"web", "admin"}
    assert set(project.wants(profiles=("*",))) == {"web", "admin", "load"}
    assert set(project.wants(counts={"load": 1})) == {"web", "load"}


@pytest.mark.parametrize("line", ["COMPOSE_PROFILES=tools,bench", 'export COMPOSE_PROFILES="tools, bench" # both'])
def test_profiles_may_be_on_in_the_projects_env_file(project: Project, line: str) -> None:
    project.write(PROFILES)
    project.write(line, ".env")
    assert set(project.wants()) == {"web", "admin", "load"}


# Files --------------------------------------------------------------------------------------------------------------


def test_the_first_of_composes_names_wins_and_an_override_is_laid_over_it(project: Project) -> None:
    project.write("services: {old: {}}", "docker-compose.yml")
    project.write("services: {web: {scale: 1}}", "compose.yaml")
    project.write("services: {web: {scale: 2}, mail: {}}", "docker-compose.override.yml")
    assert project.wants() == {"web": 2, "mail": 1}


def test_given_files_are_taken_alone_and_in_their_order(project: Project) -> None:
    project.write("services: {old: {}}")
    base, more = (
        project.write("services: {web: {scale: 1}}", "a.yml"),
        project.write("services: {web: {scale: 2}}", "b.yml"),
    )
    assert project.wants(files=(base, more)) == {"web": 2}
    assert project.wants(files=(more, base)) == {"web": 1}


def test_the_files_may_be_named_in_the_projects_env_file(project: Project) -> None:
    project.write("services: {web: {}}")
    project.write("services: {web: {scale: 4}}", "prod.yml")
    project.write("COMPOSE_FILE=docker-compose.yml:prod.yml\n", ".env")
    assert project.wants() == {"web": 4}
    project.write("COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE='prod.yml'\n", ".env")
    assert project.wants() == {"web": 4}


def test_a_later_file_adds_to_what_an_earlier_one_says(project: Project) -> None:
    project.write("services: {web: {profiles: [a], deploy: {replicas: 2, mode: replicated}, depends_on: [db]}, db: {}}")
    project.write(
        """
        services:
          web: {profiles: [b], deploy: {resources: {}}, depends_on: {m: {condition: service_completed_successfully}}}
          m: {}
        """,
        "docker-compose.override.yml",
    )
    assert project.wants(profiles=("a",)) == project.wants(profiles=("b",)) == {"web": 2, "db": 1, "m": 1}
    assert [one.name for one in wanted_services(project.directory) if one.job] == ["m"]


def test_an_override_without_services_changes_nothing(project: Project) -> None:
    project.write("services: {web: {}}")
    project.write("volumes: {data: {}}", "docker-compose.override.yml")
    assert project.wants() == {"web": 1}


def test_composes_own_tags_are_understood(project: Project) -> None:
    project.write("services: {web: {profiles: [debug], scale: 3}, db: {scale: 2}}")
    project.write(
        "services: {web: {profiles: !reset [], scale: !override 2}, db: {deploy: !override {}, x: !override []}}",
        "docker-compose.override.yml",
    )
    assert project.wants() == {"web": 2, "db": 2}


def test_included_files_are_part_of_it(project: Project) -> None:
    project.write("include: [db/compose.yml, {path: [a.yml, b.yml]}]\nservices: {web: {}}")
    project.write("services: {db: {}}", "db/compose.yml")
    project.write("services: {mail: {scale: 1}}", "a.yml")
    project.write("services: {mail: {scale: 2}}", "b.yml")
    assert project.wants() == {"db": 1, "mail": 2, "web": 1}


def test_a_file_that_includes_itself_is_said(project: Project) -> None:
    project.write("include: [x/../docker-compose.yml]\nservices: {web: {}}")
    project.write("", "x/y")
    assert "includes itself" in str(project.refuses())


# What can't be read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "defines no services"),
        ("services: {}", "defines no services"),
        ("services:", "defines no services"),
        ("just a text", "defines no services"),
        ("[1, 2]", "defines no services"),
        ("services: [web]", "they are no tables"),
        ("services: {web: image}", "they are no tables"),
        ("services:\n  web: {\n", "is no valid YAML in line 3"),
        ("services:\n\tweb:", "is no valid YAML in line 2: found character"),
        ("services: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("a: \x07", "is no valid YAML"),
    ],
)
def test_what_is_no_compose_file_is_said_with_its_path(project: Project, text: str, said: str) -> None:
    file = project.write(text)
    assert said in str(project.refuses())
    assert str(file) in str(project.refuses())


def test_bytes_that_are_no_text_are_said(project: Project) -> None:
    (project.directory / "docker-compose.yml").write_bytes(b"services: {w\xff\xfe: {}}")
    assert "is no valid YAML" in str(project.refuses())


def test_no_file_at_all_is_said_with_the_setting_to_mend(project: Project) -> None:
    said = project.refuses()
    assert f"there is no Compose file in {project.directory}" in str(said)
    assert "project.directory" in said.mend


def test_a_file_that_is_named_and_missing_is_said(project: Project) -> None:
    with pytest.raises(CannotTell, match=r"b\.yml can't be read: No such file"):
        project.wants(files=(project.directory / "b.yml",))


def test_a_directory_that_may_not_be_read_is_not_one_without_a_file(project: Project) -> None:
    project.write("services: {web: {}}")
    closed = project.directory / "closed"
    closed.mkdir(mode=0)
    with nobody(), pytest.raises(CannotTell, match="can't be read: Permission denied"):
        compose_files(closed)


def test_a_file_that_may_not_be_read_is_said(project: Project) -> None:
    file = project.write("services: {web: {}}")
    project.wants()  # PyYAML is imported on first use
    file.chmod(0)
    with nobody(), pytest.raises(CannotTell, match="can't be read: Permission denied"):
        project.wants(files=(file,))


SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab$", max_size=3)
YAML = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3))
BODIES = st.dictionaries(st.sampled_from(["scale", "deploy", "profiles", "depends_on"]), YAML)


@given(services=st.dictionaries(SCALARS, BODIES | YAML, max_size=3), include=YAML, second=YAML)
@example(services={1: {"profiles": [{}], "depends_on": [{}]}}, include=None, second=None)
@example(services={"a": {"profiles": 3, "scale": []}}, include=[3, {"path": None}], second=None)
def test_any_yaml_is_services_or_words(
    tmp_path_factory: pytest.TempPathFactory, services: object, include: object, second: object
) -> None:
    import yaml

    directory = tmp_path_factory.getbasetemp() / "any"
    directory.mkdir(exist_ok=True)
    (directory / "compose.yml").write_text(yaml.safe_dump({"services": services, "include": include}), encoding="utf-8")
    (directory / "compose.override.yml").write_text(yaml.safe_dump({"services": second}), encoding="utf-8")
    try:
        found = wanted_services(directory)
    except CannotTell as said:
        assert str(said)  # noqa: PT017  the other of two right ends
    else:
        assert all(type(one.name) is str for one in found)
        assert all(one.containers > 0 for one in found)


# Variables ----------------------------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True)
PLAIN = st.text(st.characters(exclude_characters="${}", codec="utf-8"), max_size=10)


@given(text=PLAIN)
def test_a_text_without_variables_stays_as_it_is(text: str) -> None:
    assert interpolated(text, {}) == text
    assert interpolated(f"{text}$${text}", {}) == f"{text}${text}"


@given(name=NAMES, value=st.text(max_size=8), other=PLAIN, around=PLAIN)
@example(name="A", value="", other="x", around="")
@example(name="A", value="$B", other="x", around="")
def test_variables_are_filled_in_as_compose_does_it(name: str, value: str, other: str, around: str) -> None:
    def filled(text: str) -> str:
        return interpolated(text, {name: value})

    assert filled(f"{around}${{{name}}}{around}") == f"{around}{value}{around}"
    assert filled(f"${name}") == value
    assert filled(f"${{{name}-{other}}}") == value
    assert filled(f"${{{name}:-{other}}}") == (value or other)
    assert filled(f"${{{name}+{other}}}") == other
    assert filled(f"${{{name}:+{other}}}") == (other if value else "")
    assert filled(f"${{{name}:?{other}}}") == value


@given(name=NAMES, other=PLAIN)
def test_a_variable_that_is_set_nowhere_has_its_default_or_nothing(name: str, other: str) -> None:
    assert interpolated(f"${name}${{{name}}}", {}) == ""
    assert interpolated(f"${{{name}-{other}}}", {}) == interpolated(f"${{{name}:-{other}}}", {}) == other
    assert interpolated(f"${{{name}:-${{{name}:-{other}}}}}", {}) == other
    assert interpolated(f"${{{name}:+{other}}}${{{name}+{other}}}", {}) == ""


@given(text=st.text("$A{}:-+?", max_size=40) | st.text(max_size=40))
@example(text="${A:-" * 2000)
def test_any_text_can_be_interpolated(text: str) -> None:
    interpolated(text, {"A": "1"})


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("R=2", "2"),
        ("  export R = 2  ", "2"),
        ("R='2' # comment", "2"),
        ('R="2"', "2"),
        ("R=2 # comment", "2"),
        ("R=2#3", "2#3"),
        ("R=", ""),
        ("R='a # b'", "a # b"),
        ("R='a\"b'", 'a"b'),
        ("r=2", None),
        ("#R=2", None),
        ("R 2", None),
    ],
)
def test_the_env_file_is_read_as_compose_reads_it(project: Project, line: str, value: str | None) -> None:
    from observe.compose import _dot_env

    file = project.write(line, ".env")
    assert _dot_env(file).get("R") == value


def test_the_environment_wins_over_the_env_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("services: {web: {scale: '${REPLICAS}'}}")
    project.write("REPLICAS=2", ".env")
    assert project.wants() == {"web": 2}
    monkeypatch.setenv("REPLICAS", "3")
    assert project.wants() == {"web": 3}


# What the files say of a service --------------------------------------------------------------------------------------


def test_a_service_is_what_its_file_says_with_its_variables_filled_in(project: Project) -> None:
    project.write(
        """
        x-base: &base {restart: always, labels: [a=1, b]}
        services:
          web:
            <<: *base
            image: app:${TAG}
            environment: {A: "${TAG}", B: 2, C: $$x}
            ports: ["${PORT:-80}:80"]
        volumes: {data: {name: "${TAG}-data"}}
        """
    )
    project.write("TAG=7\nPORT=8080\n", ".env")
    found = service_definitions(project.directory)
    web = found.services["web"]
    assert web.body == {
        "restart": "always",
        "labels": {"a": "1", "b": ""},
        "image": "app:7",
        "environment": {"A": "7", "B": 2, "C": "$x"},
        "ports": ["8080:80"],
    }
    assert (web.doubts, web.trouble, web.layered) == ({}, "", False)
    assert found.volumes == {"data": {"name": "7-data"}}


@pytest.mark.parametrize(
    ("key", "below", "above", "together"),
    [
        ("image", "a", "b", "b"),
        ("command", "[a, b]", "c", "c"),
        ("environment", "[A=1, B=2]", "{B: 3, C: 4}", {"A": "1", "B": 3, "C": 4}),
        ("labels", "{a: 1}", "[a=2, b]", {"a": "2", "b": ""}),
        ("extra_hosts", "['a:1.1.1.1', 'b:2.2.2.2']", "{b: 3.3.3.3}", {"a": "1.1.1.1", "b": "3.3.3.3"}),
        ("ports", "['80:80']", "['81:81', '80:80']", ["80:80", "81:81"]),
        ("cap_add", "[A]", "[B, A]", ["A", "B"]),
        ("tmpfs", "/run", "[/var/run]", ["/run", "/var/run"]),
        ("volumes", "['a:/x', 'b:/y:ro']", "['c:/x/', {type: bind, source: /, target: /y}]",
         ["c:/x/", {"type": "bind", "source": "/", "target": "/y"}]),
        ("networks", "[a]", "{b: {aliases: [x]}}", {"a": None, "b": {"aliases": ["x"]}}),
        ("healthcheck", "{test: a, interval: 1s}", "{test: b}", {"test": "b", "interval": "1s"}),
        ("logging", "{driver: local, options: {a: '1', b: '2'}}", "{options: {b: '3'}}",
         {"driver": "local", "options": {"a": "1", "b": "3"}}),
        ("logging", "{driver: local, options: {a: '1'}}", "{driver: none}", {"driver": "none"}),
        ("deploy", "{resources: {limits: {cpus: '1', memory: 1g}}}", "{resources: {limits: {memory: 2g}}}",
         {"resources": {"limits": {"cpus": "1", "memory": "2g"}}}),
        ("ulimits", "{nproc: 1}", "{nofile: 2}", {"nproc": 1, "nofile": 2}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", ["another file", "extends"])
def test_a_later_entry_is_laid_over_an_earlier_one(
    key: str, below: str, above: str, together: object, how: str, project: Project
) -> None:
    if how == "extends":
        project.write(f"services: {{base: {{{key}: {below}}}, web: {{extends: base, {key}: {above}}}}}")
    else:
        project.write(f"services: {{web: {{{key}: {below}}}}}")
        project.write(f"services: {{web: {{{key}: {above}}}}}", "docker-compose.override.yml")
    web = project.defines()
    assert web.body[key] == together
    assert (web.doubts, web.trouble, web.layered) == ({}, "", True)


@pytest.mark.parametrize(
    ("below", "above", "doubtful"),
    [
        ("{mem_limit: 1g}", "{mem_limit: }", "mem_limit"),
        ("{group_add: ['1']}", "{group_add: ['2']}", "group_add"),
        ("{command: a}", "{entrypoint: b}", "command"),
        ("{logging: {options: {a: b}}}", "{logging: {driver: local}}", "logging"),
    ],
)
def test_what_composes_versions_merge_differently_is_doubtful(
    below: str, above: str, doubtful: str, project: Project
) -> None:
    project.write(f"services: {{web: {below}}}")
    project.write(f"services: {{web: {above}}}", "docker-compose.override.yml")
    assert set(project.defines().doubts) == {doubtful}


def test_a_service_may_extend_one_that_extends_another(project: Project) -> None:
    project.write(
        """
        services:
          a: {image: a, environment: {A: 1, B: 1}, user: root}
          b: {extends: {service: a}, image: b, environment: {B: 2}}
          web: {extends: b, environment: {C: 3}}
        """
    )
    assert project.defines().body["environment"] == {"A": 1, "B": 2, "C": 3}
    assert project.defines().body["image"] == "b"
    assert project.defines().body["user"] == "root"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("extends: {service: db, file: other.yml}", "it extends a service of another file"),
        ("extends: web", "it extends web, which can't be followed"),
        ("extends: loop", "it extends web, which can't be followed"),
        ("extends: nowhere", "it extends nowhere, which can't be followed"),
        ("labels: !reset {}", "!reset and !override are not merged here"),
        ("healthcheck: {test: !override [a]}", "!reset and !override are not merged here"),
    ],
)
def test_what_is_not_merged_here_is_the_services_trouble(body: str, said: str, project: Project) -> None:
    project.write(f"services:\n  web:\n    {body}\n  loop: {{extends: web}}\n  db: {{image: x}}")
    assert project.defines().trouble == said
    assert not project.defines("db").trouble


def test_a_service_that_is_extended_and_laid_over_is_in_trouble(project: Project) -> None:
    project.write("services: {base: {image: a}, web: {extends: base}, db: {image: b}}")
    project.write("services: {base: {image: c}}", "docker-compose.override.yml")
    assert project.defines().trouble == "it extends a service and several files define it"
    assert project.defines("base").body == {"image": "c"}


def test_an_included_service_has_its_own_directory_and_variables(project: Project) -> None:
    project.write(
        "include: [db/compose.yml, {path: other.yml, project_directory: x}]\nservices: {web: {image: w}, two: {}}"
    )
    project.write("services: {db: {image: 'db:${TAG}-${MORE}', env_file: db.env}, two: {image: t}}", "db/compose.yml")
    project.write("TAG=1\nMORE=2", "db/.env")
    project.write("TAG=3", ".env")
    project.write("PASSWORD=x", "db/db.env")
    project.write("services: {mail: {image: m}}", "other.yml")
    db = project.defines("db")
    assert db.body == {"image": "db:3-2", "environment": {"PASSWORD": "x"}}
    assert db.directory == project.directory / "db"
    assert "directory or variables of its own" in project.defines("mail").trouble
    assert "another one as well" in project.defines("two").trouble
    assert project.defines().body == {"image": "w"}


def test_a_variable_whose_value_at_the_time_is_not_known_makes_its_key_doubtful(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(
        """
        services:
          web:
            image: "x:${UNSET}"
            command: ${UNSET:-default}
            user: ${HOME}
            hostname: ${TWICE}
            mem_limit: ${ODD}
            environment: {A: "${UNSET}", B: "${SET}", C: , SET: }
        """
    )
    project.write("TWICE=there\nODD=$SET\nSET=1\n", ".env")
    monkeypatch.setenv("TWICE", "here")
    monkeypatch.delenv("C", raising=False)
    assert project.defines().doubts == {
        "image": "UNSET is set neither in .env nor here",
        "command": "UNSET is set neither in .env nor here",
        "user": "HOME is of whoever brought it up",
        "hostname": "TWICE is one thing in .env and another here",
        "mem_limit": "ODD is written in .env in a form that is not read here",
        "environment.A": "UNSET is set neither in .env nor here",
        "environment.C": "C is set neither in .env nor here",
    }
    assert project.defines().body["environment"]["SET"] == "1"


def test_variables_of_files_lie_below_those_of_the_service(project: Project) -> None:
    project.write("services: {web: {env_file: [a.env, {path: no.env, required: false}, b.env], environment: {C: own}}}")
    project.write("A=1\nB=1\nC=1\n", "a.env")
    project.write("B=2\nD=$A\n", "b.env")
    assert project.defines().body == {"environment": {"A": "1", "B": "2", "C": "own", "D": "$A"}}
    assert project.defines().doubts == {"environment.D": "b.env writes it in a form not read here"}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("gone.env", "gone.env can't be read: No such file or directory"),
        ("{path: a.env, format: raw}", "a.env is in a format of its own"),
        ("lines.env", "lines.env has values of several lines"),
    ],
)
def test_a_file_of_variables_that_cant_be_read_makes_the_environment_doubtful(
    entry: str, said: str, project: Project
) -> None:
    project.write(f"services: {{web: {{env_file: [{entry}], environment: {{A: 1}}}}}}")
    project.write("A=1", "a.env")
    project.write("A='one\ntwo'", "lines.env")
    assert project.defines().doubts["environment"] == said


@pytest.mark.parametrize(
    ("text", "values", "unsure", "trouble"),
    [
        ("A=1\r\n\n # x\nexport B = 2 # c\n", {"A": "1", "B": "2"}, set(), ""),
        ("A='a b' # c\nB=\"#\"\nC=a#b\nD=", {"A": "a b", "B": "#", "C": "a#b", "D": ""}, set(), ""),
        ("A=$B\nC='$D'\nE=\"a\\nb\"\nF=it's\nG", {}, {"A", "C", "E", "F", "G"}, ""),
        ("A=1\nA=$B\nA=2", {"A": "2"}, set(), ""),
        ("A=1\nB: 2\nC=3", {"A": "1"}, set(), "has lines in a form that is not read here"),
        ("A=1\nB='x\ny'", {"A": "1"}, {"B"}, "has values of several lines"),
        ('A="x \\" y\nB=2"', {}, {"A"}, "has values of several lines"),
        ("A=# x", {}, {"A"}, ""),
        ("\ufeffA=1", {"A": "1"}, set(), ""),
    ],
)
def test_a_file_of_variables_is_read_where_every_version_reads_it_alike(
    text: str, values: dict[str, str], unsure: set[str], trouble: str, project: Project
) -> None:
    (project.directory / "a.env").write_bytes(text.encode())
    found = _env_file(project.directory / "a.env")
    assert {name: value for name, value in found.values.items() if name not in found.unsure} == values
    assert (set(found.unsure), found.trouble) == (unsure, trouble)


def test_a_number_that_is_not_read_alike_everywhere_is_marked(project: Project) -> None:
    project.write("services: {web: {environment: {A: 22:30, B: 0755, C: 0x1F, D: 1_000, E: 7, F: -0}}}")
    values = project.defines().body["environment"]
    assert {name for name, value in values.items() if isinstance(value, OddInt)} == {"A", "B", "C", "D"}


def test_what_the_files_say_is_shown_nowhere(project: Project) -> None:
    project.write("services: {web: {environment: {PASSWORD: canary-73}, command: canary-73, env_file: a.env}}")
    project.write("KEY=canary-73", "a.env")
    found = service_definitions(project.directory)
    assert "canary-73" not in repr((found, found.services["web"]))


def test_a_file_that_makes_no_sense_shows_nothing_of_it(project: Project) -> None:
    project.write("services: {web: {environment: {PASSWORD: canary-73}}}\nvolumes: [canary-73]")
    with pytest.raises(CannotTell, match="can't be made sense of") as raised:
        service_definitions(project.directory)
    told: BaseException = raised.value
    assert "canary-73" not in str(told)
    assert told.__suppress_context__
    assert told.__traceback__ is not None
    assert told.__traceback__.tb_next is not None
    assert told.__traceback__.tb_next.tb_next is None, "only our own frame and the test's"


KEYS = st.sampled_from(
    [*("cap_add", "deploy", "env_file", "environment", "extends", "extra_hosts", "healthcheck", "labels", "logging"),
     *("networks", "ports", "tmpfs", "volumes")]
)  # fmt: skip


@given(body=st.dictionaries(KEYS, YAML), override=st.dictionaries(KEYS, YAML), top=YAML)
def test_any_yaml_is_definitions_or_words(
    tmp_path_factory: pytest.TempPathFactory, body: object, override: object, top: object
) -> None:
    import yaml

    directory = tmp_path_factory.getbasetemp() / "anything"
    directory.mkdir(exist_ok=True)
    first = {"services": {"web": body, "other": override}, "volumes": top}
    (directory / "compose.yml").write_text(yaml.safe_dump(first), encoding="utf-8")
    (directory / "compose.override.yml").write_text(yaml.safe_dump({"services": {"web": override}}), encoding="utf-8")
    try:
        found = service_definitions(directory)
    except CannotTell as said:
        assert str(said)  # noqa: PT017  the other of two right ends
    else:
        assert set(found.services) == {"web", "other"}
