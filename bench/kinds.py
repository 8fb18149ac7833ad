"""Kinds of log messages by masking, beside a template miner: `python -m bench.kinds`.

What is compared: time for a million messages, how many kinds come out (the generator knows how many there are), and
whether a message keeps its kind when more messages have been seen, which comparing weeks depends on.

The miner is `drain3`. It is no dependency of the project: `pip install --target DIR --no-deps drain3 cachetools
jsonpickle`, then name the directory in PYTHONPATH. Without it only the masking is measured.

One kind of the seventeen has names in it that nothing marks as names. Masking takes each for a kind of its own (the
setting `logs.varying` is for those), a miner finds them by itself.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from observe.masking import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEED = 20_261_123
NAMES = ("mira", "oskar", "signe", "alma", "bjorn", "carla", "david", "edith", "felix", "greta", "hugo", "ines")
ERRORS = ("AuthenticationFailed", "NotFound", "ValidationError", "Throttled")


def messages(count: int) -> list[tuple[int, str]]:
    """So many messages of a backend, each with the number of its true kind."""
    chance = random.Random(SEED)  # noqa: S311  the same messages every time is the point

    def path() -> str:
        return f"/api/{chance.choice(('tasks', 'token', 'projects', 'teams'))}/{chance.randrange(99_999)}/"

    def address() -> str:
        return ".".join(str(chance.randrange(256)) for _ in range(4))

    error = {
        f"api.error_handling: API Error: {one}": (lambda one=one: f"api.error_handling: API Error: {one}")
        for one in ERRORS
    }
    makers: list[Callable[[], str]] = [
        lambda: f"django.request: Not Found: {path()}",
        lambda: f"django.request: Unauthorized: {path()}",
        lambda: f"django.request: Internal Server Error: {path()}",
        lambda: f"django.request: Too Many Requests: {path()}",
        lambda: f"api.middleware: IP {address()} rate limited: {path()}",
        lambda: f"api.security: Rate limit exceeded for ratelimit:ip:{address()}",
        *error.values(),
        lambda: f"django.security.DisallowedHost: Invalid HTTP_HOST header: '{chance.choice(NAMES)}.example.org'.",
        lambda: f"api.mail: message {chance.randrange(10**6)} to {chance.choice(NAMES)}@example.org deferred",
        lambda: f"api.tasks: slow query took {chance.randrange(500, 9000)} ms for user {chance.choice(NAMES)}",
        lambda: f"api.webhook: https://hooks.example.org/{chance.randrange(99)} answered {chance.choice((500, 502))}",
        lambda: f"api.storage: upload {chance.getrandbits(128):032x} cut, {chance.randrange(10**7)} bytes",
        lambda: (
            f"celery.worker: Task {chance.getrandbits(32):08x}-aaaa-4bbb-8ccc-{chance.getrandbits(48):012x} retried"
        ),
        lambda: f"redis: connection to redis:6379 lost, trying again in {chance.randrange(60)} s",
    ]
    kinds = (min(int(chance.random() ** 2 * len(makers)), len(makers) - 1) for _ in range(count))
    return [(kind, makers[kind]()) for kind in kinds]


def by_masking(texts: Sequence[str]) -> list[str]:
    """The kind of each message."""
    return [masked(text) for text in texts]


def by_mining(texts: Sequence[str]) -> list[str]:
    """The template of each message as the miner had it when it saw the message."""
    from drain3 import TemplateMiner  # type: ignore[import-not-found]
    from drain3.template_miner_config import TemplateMinerConfig  # type: ignore[import-not-found]

    settings = TemplateMinerConfig()
    settings.profiling_enabled = False
    miner = TemplateMiner(config=settings)
    return [str(miner.add_log_message(text)["template_mined"]) for text in texts]


def measured(name: str, kinds_of: Callable[[Sequence[str]], list[str]], made: list[tuple[int, str]]) -> float:
    """Print what one way costs and finds; return its time in seconds."""
    texts = [text for _, text in made]
    began = time.perf_counter()
    found = kinds_of(texts)
    took = time.perf_counter() - began
    of_true: dict[int, set[str]] = {}
    of_found: dict[str, set[int]] = {}
    for (true, _), kind in zip(made, found, strict=True):
        of_true.setdefault(true, set()).add(kind)
        of_found.setdefault(kind, set()).add(true)
    torn = sum(len(kinds) > 1 for kinds in of_true.values())
    mixed = sum(len(kinds) > 1 for kinds in of_found.values())
    sys.stdout.write(
        f"{name:10} {took:7.2f} s {1e6 * took / len(made):6.2f} us a message; {len(of_found)} kinds found of "
        f"{len(of_true)}; {torn} true ones came out as several, {mixed} found ones hold several true ones\n"
    )
    return took


def main() -> None:
    """Measure both on the same messages, in one run."""
    parser = argparse.ArgumentParser(description="Kinds of log messages by masking, beside a template miner.")
    parser.add_argument("--count", type=int, default=1_000_000)
    options = parser.parse_args()
    made = messages(options.count)
    sys.stdout.write(f"{len(made):,} messages, {len(Counter(kind for kind, _ in made))} kinds\n")
    ours = measured("masking", by_masking, made)
    try:
        import drain3  # noqa: F401
    except ImportError:
        sys.stdout.write("drain3 is not installed: not compared\n")
    else:
        sys.stdout.write(f"masking / drain3: {ours / measured('drain3', by_mining, made):.2f}\n")


if __name__ == "__main__":
    main()
