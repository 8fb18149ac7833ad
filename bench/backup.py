"""Reading one backup to its end beside `gzip -t`: `python -m bench.backup`, without a lab.

A dump is made up from a seed, as pg_dump writes one, and packed by gzip. Each
pair is run in turn as whole processes, after one uncounted round, and compared
pair by pair. Then the six damages are done to that very file, and each has to
be found.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.timing import compare, timed, usual_environment
from observe.backup_file import DATABASE, inspect
from target.kinds import say_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SEED = 20261123
ROWS = 60_000
WORDS = ("order", "invoice", "shipped", "pending", "review", "task", "comment", "urgent", "later", "draft", "final")

INTEGRITY = """
import sys
from observe.backup_file import unpack
with open(sys.argv[1], "rb", buffering=0) as file:
    sys.exit(bool(unpack(file, lambda text: None).damage))
"""
CONTENT = """
import sys
from pathlib import Path
from observe.backup_file import inspect
seen = inspect(Path(sys.argv[1]), 600)
sys.exit(bool(seen.gzip.damage or seen.dump.trouble))
"""
PLAIN = "import sys\nsys.modules['isal'] = None\n"
BARE = "import observe.backup_file\nfrom isal import igzip_lib\n"


def some_rows(chance: random.Random) -> list[str]:
    """Rows of an application's tables, without the number that each begins with."""
    return [
        f"{chance.randrange(5000)}\t{chance.getrandbits(64):x}\t{' '.join(chance.choices(WORDS, k=8))}\t"
        f"2026-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02} {chance.randrange(24):02}:"
        f"{chance.randrange(60):02}:{chance.randrange(60):02}+00\t\\N\tt\n"
        for _ in range(ROWS)
    ]


def dump(size: int, seed: int) -> Iterator[bytes]:
    """The text of a dump of about `size` bytes, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311  a bench wants the same dump each time
    rows = some_rows(chance)
    written = tables = 0
    yield f"--\n{DATABASE}\n--\n\n\\restrict bench\n\nSET client_encoding = 'UTF8';\n\n".encode()
    while written < size:
        tables += 1
        head = f"--\n-- Data for Name: t{tables}; Type: TABLE DATA; Schema: public; Owner: bench\n--\n\n"
        yield f"{head}COPY public.t{tables} (id, a, b, c, d, e, f) FROM stdin;\n".encode()
        for part in range(5):
            chance.shuffle(rows)
            text = "".join([f"{number}\t{row}" for number, row in enumerate(rows, part * ROWS)]).encode()
            written += len(text)
            yield text
            if written >= size:
                break
        yield b"\\.\n\n\n"
    yield f"--\n{DATABASE} complete\n--\n\n\\unrestrict bench\n\n".encode()


def write_backup(path: Path, size: int, seed: int) -> None:
    """Write such a dump as a backup, packed by `gzip -6`."""
    with path.open("wb") as file, subprocess.Popen(["gzip", "-6"], stdin=subprocess.PIPE, stdout=file) as packing:
        assert packing.stdin is not None
        for text in dump(size, seed):
            packing.stdin.write(text)


def peak(*command: str) -> int:
    """Bytes of memory that a process held at most."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", code, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024


def damaged(path: Path, directory: Path) -> Iterator[tuple[str, Path]]:
    """The six damages, each done to a copy that is thrown away when the next is asked for."""
    whole = path.read_bytes()
    middle = len(whole) // 2
    for name, content in {
        "flipped bit": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "cut at 90 %": whole[: len(whole) * 9 // 10],
        "no trailer": whole[:-8],
        "wrong checksum": whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:],
        "wrong length": whole[:-1] + bytes([whole[-1] ^ 1]),
        "trailing garbage": whole + b"left over",
    }.items():
        copy = directory / "damaged.sql.gz"
        copy.write_bytes(content)
        yield name, copy


def main() -> None:
    """Measure and print.

    Raises:
        SystemExit: If a damage was not found.
    """
    parser = argparse.ArgumentParser(description="reading one backup to its end beside gzip -t")
    parser.add_argument("--mb", type=int, default=450, help="size of the dump before it is packed, in 10^6 bytes")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    python = [sys.executable, "-c"]
    with tempfile.TemporaryDirectory(prefix="bench-backup-") as scratch:
        path = Path(scratch, "synk_backup_20261122_020000.sql.gz")
        write_backup(path, options.mb * 10**6, options.seed)
        seen = inspect(path, 600)
        sys.stdout.write(f"{say_bytes(seen.gzip.unpacked)} of SQL, {say_bytes(seen.size)} packed; {seen.dump.said}\n")

        def wall(*command: str) -> float:
            return timed([*command, str(path)], cwd=ROOT, environment=usual_environment(), statuses=(0,))

        def cpu(*command: str) -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            wall(*command)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        for name, code in (
            ("integrity / gzip -t", INTEGRITY),
            ("integrity and content / gzip -t", CONTENT),
            ("integrity by the standard library / gzip -t", PLAIN + INTEGRITY),
            ("both by the standard library / gzip -t", PLAIN + CONTENT),
        ):
            # Beside others' work the time on the wall says less than the processor's.
            for measure in (wall, cpu):
                one, other = partial(measure, *python, code), partial(measure, "gzip", "-t")
                compare(f"{name}, {measure.__name__}", one, other, options.rounds)
        bare = peak(*python, BARE)
        for name, code in (("isal", CONTENT), ("standard library", PLAIN + CONTENT)):
            above = peak(*python, code, str(path)) - bare
            sys.stdout.write(f"{f'peak above the bare process, {name}':58} {say_bytes(above)}\n")
        missed = [name for name, copy in damaged(path, Path(scratch)) if not inspect(copy, 600).gzip.damage]
        sys.stdout.write(f"damages found at this size: {6 - len(missed)} of 6\n")
    if missed:
        raise SystemExit(f"not found: {', '.join(missed)}")


if __name__ == "__main__":
    main()
