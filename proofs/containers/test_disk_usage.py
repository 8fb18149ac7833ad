"""What nobody uses is added up without counting a layer twice, of a real engine too, and nothing is removed."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.base_image import BASE, ensure_base
from observe.disk_usage import Reclaimable, added_up, reclaimable
from observe.engine import Engine
from observe.errors import CannotTell

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024


def told(images: list[tuple[tuple[int, ...], int]], sizes: dict[int, int]) -> dict[str, Any]:
    """What an engine says of images, each given by its layers and its number of containers."""
    users = Counter(layer for layers, _ in images for layer in layers)
    return {
        "LayersSize": sum(sizes[layer] for layer in users),
        "Images": [
            {
                "Id": f"sha256:{number:064}",
                "RepoTags": ["<none>:<none>"] if number % 2 else [f"name:{number}"],
                "Size": sum(sizes[layer] for layer in layers),
                "SharedSize": sum(sizes[layer] for layer in layers if users[layer] > 1),
                "Containers": containers,
            }
            for number, (layers, containers) in enumerate(images)
        ],
        "Containers": None,
        "Volumes": None,
    }


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 7), min_size=1).map(lambda one: tuple(sorted(one))), st.integers(0, 2)),
        max_size=8,
    ),
    st.lists(st.integers(0, 1000), min_size=8, max_size=8),
)
def test_what_images_would_free_lies_between_the_bounds(
    images: list[tuple[tuple[int, ...], int]], figures: list[int]
) -> None:
    sizes = dict(enumerate(figures))
    in_use = {layer for layers, containers in images if containers for layer in layers}
    truth = sum(sizes[layer] for layer in {layer for layers, _ in images for layer in layers} - in_use)
    seen = added_up(told(images, sizes))
    assert seen.size <= truth <= seen.at_most
    users = Counter(layer for layers, _ in images for layer in layers)
    if all(users[layer] == 1 for layers, containers in images if not containers for layer in layers):
        assert seen.size == truth == seen.at_most, "exact where the unused ones share nothing"
    if not in_use:
        assert seen.size == truth == seen.at_most, "exact where all is unused"


def test_stale_builds_on_the_base_of_the_one_in_use_are_counted_by_what_is_theirs() -> None:
    seen = added_up(told([((0, 1), 2), ((0, 2), 0), ((0, 3), 0)], {0: 500, 1: 10, 2: 20, 3: 30}))
    assert (seen.size, seen.at_most) == (50, 50)
    assert [(one.name, one.size) for one in seen.largest] == [("name:2", 30), ("0" * 12, 20)]
    assert not seen.notes


def test_what_may_be_more_than_allowed_is_not_judged() -> None:
    # Whether the two unused ones share with those in use, or among themselves, isn't told.
    seen = added_up(told([((0, 1), 1), ((0, 2), 1), ((3, 4), 0), ((3, 5), 0)], dict.fromkeys(range(6), 100)))
    assert (seen.size, seen.at_most) == (200, 300)
    seen.must_be_below(301)
    with pytest.raises(CannotTell, match="200 B to 300 B: images share layers"):
        seen.must_be_below(250)
    assert "20 % to 30 % of 1000 B" in seen.said_of(1000)
    assert len(seen.notes) == 1


def test_containers_volumes_and_cache_count_when_nobody_uses_them() -> None:
    seen = added_up(
        {
            "Containers": [
                {"Names": ["/runs"], "State": "running", "SizeRw": 1},
                {"Names": ["/rests"], "State": "paused", "SizeRw": 2},
                {"Names": ["/ended"], "State": "exited", "SizeRw": 4},
                {"Names": ["/new"], "State": "created"},
            ],
            "Volumes": [
                {"Name": "used", "UsageData": {"RefCount": 1, "Size": 8}},
                {"Name": "left", "UsageData": {"RefCount": 0, "Size": 16}},
                {"Name": "elsewhere", "UsageData": {"RefCount": 0, "Size": -1}},
            ],
            "BuildCache": [
                {"ID": "a", "InUse": True, "Shared": False, "Size": 32},
                {"ID": "b", "InUse": False, "Shared": True, "Size": 64},
                {"ID": "c", "InUse": False, "Shared": False, "Size": 128},
            ],
        }
    )
    assert (seen.size, seen.at_most) == (4 + 16 + 128, 4 + 16 + 128)
    assert [one.name for one in seen.largest] == ["c", "left", "ended"]
    assert seen.unknown == 1
    assert "1 unused volume lies elsewhere" in seen.notes[0]
    assert seen.looked_at == "0 images, 4 containers, 3 volumes, 3 parts of the build cache"
    assert {"what": "volumes", "there are": "3", "unused": "2", "take": "16 B"} in seen.rows()


@pytest.mark.parametrize(
    "answer",
    [
        {"Images": [{"Id": "x", "Size": 1, "SharedSize": -1, "Containers": 0}]},
        {"Images": [{"Id": "x", "Size": 1, "SharedSize": 0, "Containers": -1}]},
        {"Images": [{"Id": "x", "Size": 1, "SharedSize": 0}]},
        {"Images": [{"Id": "x", "Size": 2, "SharedSize": 1, "Containers": 0}], "LayersSize": 0},
        {"Volumes": [{"Name": "x", "UsageData": None}]},
        {"Volumes": [{"Name": "x", "UsageData": {"RefCount": -1, "Size": -1}}]},
    ],
)
def test_figures_that_are_left_out_cannot_tell(answer: dict[str, Any]) -> None:
    with pytest.raises(CannotTell, match="the engine doesn't say"):
        added_up(answer)


def by_kind(seen: Reclaimable) -> dict[str, int]:
    return {one.name: one.unused for one in seen.kinds}


def test_a_real_engine_tells_of_an_image_a_container_and_a_volume_that_nobody_uses(engine: Engine) -> None:
    import docker

    client = docker.from_env(timeout=60)
    ensure_base()
    name = f"usageproof{os.getpid()}"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        member = tarfile.TarInfo("zeros")
        member.size = 3 * MIB
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    made = client.api.import_image_from_data(content.getvalue(), repository=name)
    volume = client.volumes.create(name)
    fill = ["sh", "-c", "head -c 5242880 /dev/zero > /volume/x; head -c 2097152 /dev/zero > /y"]
    container = client.containers.create(BASE, fill, name=name, volumes={name: {"bind": "/volume"}})
    try:
        container.start()
        container.wait()
        names = {(one.kind, one.name): one.size for one in all_of(engine)}
        assert names["images", f"{name}:latest"] == 3 * MIB
        assert names["containers", name] == 2 * MIB
        assert ("volumes", name) not in names, "an ended container still has it"
        container.remove()
        assert {(one.kind, one.name): one.size for one in all_of(engine)}["volumes", name] == 5 * MIB
        assert client.images.get(name).id in made, "nothing was removed"
    finally:
        for one in client.containers.list(all=True, filters={"name": name}):
            one.remove(force=True)
        volume.remove()
        client.images.remove(name)
        client.close()


def all_of(engine: Engine) -> Any:  # noqa: ANN401
    import observe.disk_usage as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LARGEST", 10_000)
        return reclaimable(engine, 60).largest


@contextmanager
def engine_that_answers(
    *answers: tuple[int, Any], hold: threading.Event | None = None
) -> Iterator[tuple[str, list[str]]]:
    """An engine of which only the adding up is asked; the last answer is repeated."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = 200, {"ApiVersion": "1.41"}
            if self.path.endswith("/system/df"):
                asked.append(self.path)
                if hold is not None:
                    hold.wait(10)
                status, body = answers[min(len(asked), len(answers)) - 1]
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"tcp://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


BUSY = (500, {"message": "a disk usage operation is already running"})
EMPTY: tuple[int, Any] = (200, {"Images": [], "Containers": [], "Volumes": [], "LayersSize": 0})


def test_an_engine_that_adds_up_for_somebody_else_is_asked_again() -> None:
    with engine_that_answers(BUSY, BUSY, EMPTY) as (url, asked):
        assert reclaimable(Engine(url, 5), 10).size == 0
    assert len(asked) == 3
    with engine_that_answers(BUSY) as (url, _), pytest.raises(CannotTell, match="already running"):
        reclaimable(Engine(url, 5), 1)


def test_one_that_refuses_is_asked_once() -> None:
    refusal = engine_that_answers((500, {"message": "no such driver"}))
    with refusal as (url, asked), pytest.raises(CannotTell, match="what its data takes: no such driver"):
        reclaimable(Engine(url, 5), 10)
    assert len(asked) == 1


def test_one_that_takes_too_long_cannot_tell_and_is_no_lost_engine() -> None:
    hold = threading.Event()
    with engine_that_answers(EMPTY, hold=hold) as (url, _):
        engine = Engine(url, 5)
        with pytest.raises(CannotTell, match="did not say what its data takes within 500 ms") as raised:
            reclaimable(engine, 0.5)
        hold.set()
        assert "timeouts.disk_usage" in raised.value.mend
        assert not raised.value.cause
        assert reclaimable(engine, 5).size == 0
