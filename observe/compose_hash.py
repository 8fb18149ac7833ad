"""The configuration hash of Compose 1.x: what `docker-compose up` compares to see whether a service has changed.

It is the SHA-256 of a service's options as JSON, and every container carries
it as a label. The series 1.x ended with 1.29.2, so how the options are put
together changes no more: it is reckoned here for the keys and forms of keys
that are known, and proven against Compose itself. Compose 2 reckons its hash
over structures of its own that differ from version to version; that one can't
be reckoned truly, and isn't.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Any

from observe.compose import hosts, pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import PurePath

    from observe.compose import Definition, Definitions

_AS_WRITTEN = frozenset(
    {
        *("cap_add", "cap_drop", "cgroup_parent", "command", "container_name", "cpu_shares", "cpuset"),
        *("device_cgroup_rules", "devices", "dns_opt", "domainname", "entrypoint", "expose", "group_add"),
        *("hostname", "image", "init", "logging", "mac_address", "mem_limit", "mem_reservation"),
        *("memswap_limit", "pids_limit", "platform", "profiles", "runtime", "shm_size", "stop_grace_period"),
        *("stop_signal", "user", "userns_mode", "working_dir"),
    }
)
_BOOLEANS = frozenset({"privileged", "read_only", "stdin_open", "tty"})
_APART = frozenset({"networks", "network_mode", "scale"})
"""Keys that are no options: they count in another place, or not at all."""
_WORDS = {
    **dict.fromkeys(("y", "yes", "true", "on"), True),
    **dict.fromkeys(("n", "no", "false", "off"), False),
}
_NO_DEPLOY = frozenset({"endpoint_mode", "labels", "mode", "placement", "replicas", "rollback_config", "update_config"})
_DURATION = re.compile(
    r"\s*" + "".join(rf"(?:([\d.]+){unit})?" for unit in ("h", "m", "s", "ms", "(?:us|µs)", "ns")) + r"\s*",
    re.IGNORECASE,
)
_NANO = 1.0 / 1000.0 / 1000.0 / 1000.0
_SECONDS = (3600, 60, 1, 1.0 / 1000, 1.0 / 1000.0 / 1000, _NANO)
_PORT = re.compile(
    r"(?:(?:\[?(?P<address>[a-fA-F\d.:]+)\]?:)?(?P<outer>\d*)(?:-(?P<outer_end>\d+))?:)?"
    r"(?P<inner>\d+)(?:-(?P<inner_end>\d+))?(?:/(?P<protocol>udp|tcp|sctp))?"
)


class Unclear(Exception):  # noqa: N818  no error: a thing that is not compared, in the reader's words
    """What a file says in a form that is not understood here, so that nothing is said about it.

    Args:
        why: The reason, without any value.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def config_hash(one: Definition, all_of_it: Definitions, image: str, project: str, directory: PurePath) -> str:
    """The hash that Compose 1.x would write on a container of the service.

    Args:
        one: The service.
        all_of_it: What the files say beside it: the names of volumes and networks.
        image: Id of the image that the container is made from.
        project: The project's name.
        directory: The project's directory at the time, for relative paths.

    Raises:
        Unclear: A key, or the form of one, is not known here.
    """
    if one.layered or len(all_of_it.files) > 1:
        raise Unclear("several files or entries make it up")  # laying one over another sorts and rewrites what it holds
    names = _Names(all_of_it, project)
    networks = {} if one.body.get("network_mode") else names.networks(one.body)
    mode = one.body.get("network_mode") or (next(iter(networks)) if networks else "none")
    if str(mode).startswith(("service:", "container:")):
        raise Unclear("network_mode of another container")
    counted: dict[str, Any] = {
        "options": _options(one.body, names, os.path.abspath(directory)),  # noqa: PTH100  like Compose, without links
        "image_id": image,
        "links": [],
        "net": mode,
        "ipc_mode": None,
        "networks": networks,
        "secrets": [],
        "volumes_from": [],
    }
    try:
        text = json.dumps(counted, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError):
        raise Unclear("values that are no plain data") from None
    return hashlib.sha256(text.encode()).hexdigest()


class _Names:
    """The names that Compose gives to a project's volumes and networks."""

    def __init__(self, all_of_it: Definitions, project: str) -> None:
        self._all = all_of_it
        self._prefix = project.lstrip("-_")

    def volume(self, key: str) -> str:
        if key not in self._all.volumes:
            raise Unclear("a volume that is not declared")
        return full_name(key, self._all.volumes[key], self._prefix)

    def networks(self, body: Mapping[str, Any]) -> dict[str, Any]:
        written = body.get("networks", {"default": None})
        table = {str(key): None for key in written} if isinstance(written, list) else written
        if not isinstance(table, dict) or any((entry or {}).get("priority") for entry in table.values()):
            raise Unclear("networks with priorities")
        named = {
            full_name(key, self._all.networks.get(key, {}), self._prefix): entry or {} for key, entry in table.items()
        }
        return dict(sorted(named.items()))


def full_name(key: str, entry: Mapping[str, Any], project: str) -> str:
    """The engine's name of a volume or network of the project.

    Args:
        key: Its name in the file.
        entry: What the file says of it.
        project: The project's name.
    """
    external = entry.get("external")
    if isinstance(external, dict) and external.get("name"):
        return str(external["name"])
    if entry.get("name"):
        return str(entry["name"])
    return key if external in {True, "true"} else f"{project}_{key}"


def _options(body: Mapping[str, Any], names: _Names, directory: str) -> dict[str, Any]:
    options: dict[str, Any] = {"volumes": [], "device_requests": None, "platform": None}
    for key, value in body.items():
        if key in _AS_WRITTEN or key.startswith("x-"):
            options[key] = value
        elif key in _BOOLEANS:
            options[key] = _boolean(value)
        elif key == "volumes":
            options[key] = [_mount(mount, names, directory) for mount in _list(value)]
        elif key == "build":
            options[key] = _build(value, directory)
        elif key == "deploy":
            _deploy(value, options)
        elif key in _FORMS:
            options[key] = _FORMS[key](value)
        elif key not in _APART:
            raise Unclear(f"{key} counts in a way not known here")
    if "deploy" in body:
        _deploy(body["deploy"], options)  # wins over the service's own keys, wherever they stand
    return options


def _boolean(value: object) -> object:
    return _WORDS.get(value.lower(), value) if isinstance(value, str) else value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _cpus(value: object) -> object:
    return float(value) if isinstance(value, str) else value


def _environment(value: object) -> dict[str, Any]:
    return pairs(value, alone=None)


def _labels(value: object) -> dict[str, Any]:
    return {name: str(one) if isinstance(one, int | float) else one for name, one in pairs(value).items()}


def _security_opt(value: object) -> list[Any]:
    if any(str(one).startswith("seccomp") for one in _list(value)):
        raise Unclear("a seccomp profile, which is a file of its own")
    return [[one, None] for one in _list(value)]


def _whole(value: object) -> object:
    return int(value, base=0) if isinstance(value, str) else value


def _sysctls(value: object) -> dict[str, str]:
    return {name: "" if one is None else str(one) for name, one in pairs(value).items()}


def _depends_on(value: object) -> object:
    return {str(one): {"condition": "service_started"} for one in value} if isinstance(value, list) else value


def _extra_hosts(value: object) -> object:
    return value if isinstance(value, list) else hosts(value)


def _restart(value: object) -> object:
    if not value or not isinstance(value, str):
        return None
    name, _, times = value.partition(":")
    return {"Name": name, "MaximumRetryCount": int(times or 0)}


def _healthcheck(value: Mapping[str, Any]) -> dict[str, Any]:
    check = dict(value)
    if "disable" in check:
        del check["disable"]
        check["test"] = ["NONE"]
    for name in ("interval", "timeout", "start_period"):
        if isinstance(check.get(name), str):
            check[name] = nanoseconds(check[name])
    if "retries" in check:
        check["retries"] = _whole(check["retries"])
    return check


def nanoseconds(text: str) -> int:
    """A duration such as `1m30s` in nanoseconds, with Compose's own roundings: one off would be another hash.

    Raises:
        Unclear: It is none.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not text.strip():
        raise Unclear("a duration in a form not known here")
    parts = [
        unit * (int(one) if one.isdigit() else float(one))
        for one, unit in zip(match.groups(), _SECONDS, strict=True)
        if one is not None
    ]
    return int(sum(parts) / _NANO)


def _ulimits(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {side: _whole(one) for side, one in limit.items()} if isinstance(limit, dict) else _whole(limit)
        for name, limit in value.items()
    }


def _ports(value: object) -> list[Any]:
    return [one for entry in _list(value) for one in port(entry)]


def port(entry: object) -> list[list[Any]]:
    """An entry of `ports` as lists of target, published, protocol, mode and address.

    Raises:
        Unclear: It is in a form not known here.
    """
    if isinstance(entry, dict):
        if not set(entry) <= {"mode", "protocol", "published", "target"}:
            raise Unclear("ports with keys not known here")
        sides = [int(entry[side]) if entry.get(side) else entry.get(side) for side in ("target", "published")]
        return [[*sides, entry.get("protocol"), entry.get("mode"), None]]
    match = _PORT.fullmatch(str(entry))
    if match is None:
        raise Unclear("a port in a form not known here")
    inner = _range(match["inner"], match["inner_end"])
    outer: list[Any] = [None] * len(inner)
    if match["outer"]:
        alone = len(inner) == 1 and match["outer_end"]
        outer = (
            [f"{match['outer']}-{match['outer_end']}"] if alone else list(_range(match["outer"], match["outer_end"]))
        )
    if len(outer) != len(inner):
        raise Unclear("port ranges of different lengths")
    return [[target, out, match["protocol"], None, match["address"]] for target, out in zip(inner, outer, strict=True)]


def _range(first: str, last: str | None) -> range:
    return range(int(first), int(last or first) + 1)


def _mount(entry: Any, names: _Names, directory: str) -> object:  # noqa: ANN401  a text or a table
    if isinstance(entry, dict):
        return _long_mount(entry, names, directory)
    parts = str(entry).split(":")
    if len(parts) > 3:
        raise Unclear("a volume in a form not known here")
    if len(parts) == 1:
        return [None, os.path.normpath(parts[0]), "rw"]
    source = _expanded(parts[0], directory) if parts[0].startswith((".", "~")) else parts[0]
    source = os.path.normpath(source) if source.startswith("/") else names.volume(os.path.normpath(source))
    return [source, os.path.normpath(parts[1]), parts[2] if len(parts) == 3 else "rw"]


def _long_mount(entry: Mapping[str, Any], names: _Names, directory: str) -> dict[str, Any]:
    kind, source = entry.get("type"), entry.get("source")
    known = {"bind", "consistency", "read_only", "source", "target", "tmpfs", "type", "volume"}
    if not set(entry) <= known or not isinstance(kind, str) or "tmpfs" in entry:
        raise Unclear("volumes with keys not known here")
    if source:
        source = _expanded(source, directory) if kind == "bind" and source.startswith((".", "~")) else source
        source = os.path.normpath(source)
        source = names.volume(source) if kind == "volume" else source
    options = entry.get(kind) or {}
    if "nocopy" in options:
        options = {**options, "nocopy": _boolean(options["nocopy"])}
    given = {
        "type": kind,
        "source": source,
        "target": entry.get("target"),
        "consistency": entry.get("consistency"),
        "read_only": _boolean(entry.get("read_only")),
        kind: options,
    }
    return {name: one for name, one in given.items() if one}


def _expanded(path: str, directory: str) -> str:
    if path.startswith("~"):
        raise Unclear("a path in the home of whoever brought it up")
    return os.path.abspath(os.path.join(directory, path))  # noqa: PTH100, PTH118  like Compose, without links


def _build(value: object, directory: str) -> dict[str, Any]:
    build = {"context": value} if isinstance(value, str) else dict(value) if isinstance(value, dict) else {}
    if "context" in build and not re.match(r"https?://|git://|github\.com/|git@", str(build["context"])):
        build["context"] = _expanded(str(build["context"]), directory)
    if "args" in build:
        arguments = pairs(build["args"], alone=None)
        if None in arguments.values():
            raise Unclear("a build argument that is passed through")
        build["args"] = {name: str(one) for name, one in arguments.items()}
    if "labels" in build:
        build["labels"] = _labels(build["labels"])
    return build


def _deploy(value: object, options: dict[str, Any]) -> None:
    deploy = value if isinstance(value, dict) else {}
    resources = deploy.get("resources") or {}
    if not set(deploy) <= {*_NO_DEPLOY, "resources", "restart_policy"} or not set(resources) <= {"limits"}:
        raise Unclear("deploy counts in a way not known here")
    if "limits" in resources:
        options["mem_limit"] = resources["limits"].get("memory")
        if "cpus" in resources["limits"]:
            options["cpus"] = float(resources["limits"]["cpus"])
    if "restart_policy" in deploy:
        policy = deploy["restart_policy"]
        names = {"any": "always", "none": "no", "on-failure": "on-failure"}
        times = _whole(policy.get("max_attempts", 0))
        options["restart"] = {"Name": names[policy.get("condition", "any")], "MaximumRetryCount": times}


_FORMS: Mapping[str, Callable[[Any], object]] = {
    "cpus": _cpus,
    "depends_on": _depends_on,
    "dns": _list,
    "dns_search": _list,
    "environment": _environment,
    "extra_hosts": _extra_hosts,
    "healthcheck": _healthcheck,
    "labels": _labels,
    "mem_swappiness": _whole,
    "oom_score_adj": _whole,
    "ports": _ports,
    "restart": _restart,
    "security_opt": _security_opt,
    "sysctls": _sysctls,
    "tmpfs": _list,
    "ulimits": _ulimits,
}
