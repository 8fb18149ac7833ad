"""Access logs beside what a person would use instead: `python -m bench.logs`.

A seeded generator writes ninety days of nginx's combined format (10,000,000
lines, 2.2 GB, two plain files and 88 packed ones), and all questions about
them are answered in turn by this suite, by `zgrep` and `awk`, and by goaccess.
Every side is a whole process, and the answers are compared before the times.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.timing import compare, timed, usual_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HERE = Path(__file__).parent
SEED = 20261123
END = datetime(2026, 11, 24, tzinfo=UTC)
STAFF = tuple(f"198.51.100.{n}" for n in range(1, 8))
PROBES = (
    "/wp-login.php",
    "/wp-admin/setup-config.php",
    "/xmlrpc.php",
    "/phpmyadmin/index.php",
    "/admin.php",
    "/.env.php",
    "/index.jsp",
    "/manager/status.jsp",
    "/wp-content/plugins/x.php",
    "/vendor/phpunit/eval-stdin.php",
    "/cgi-bin/test.jsp",
    "/shell.php",
    "/administrator/index.php",
    "/old/wp-includes/wlwmanifest.xml",
    "/solr/admin/info/system",
)
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17 Safari/605",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
)
BOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
)
SITE = "https://shop.example.org"
PATTERN = r"\.php|\.jsp|admin|wp-"
HOURS = (2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 9, 9, 8, 9, 9, 9, 8, 8, 7, 7, 6, 5, 4, 3)
"""How busy each hour of a day is, against the others."""


def requests(chance: random.Random) -> tuple[list[str], list[float]]:
    """Requests with answer, referer and agent as nginx writes them, and how often each comes."""
    number, any_of = chance.randrange, chance.choice
    kinds: list[tuple[float, str, list[str], Sequence[str]]] = [
        (0.30, "200 200 200 200 304 404", [f"/tasks/{number(99_999)}/?page={number(9)}" for _ in range(3000)], AGENTS),
        (0.38, "200 200 304 304", [f"/static/js/chunk.{number(16**8):08x}.js" for _ in range(2000)], AGENTS),
        (0.17, "200 200 200 201 400 403 429 500 502", [f"/api/tasks/{number(99_999)}/" for _ in range(3000)], AGENTS),
        (0.09, "200 200 301 404", [f"/tasks/{number(99_999)}/" for _ in range(500)], BOTS),
        (0.035, "404 404 404 404 403 301 400", list(PROBES) * 10, AGENTS),
        (0.01, "200 200 200 200 401", ["/api/auth/login/"] * 100, AGENTS),
    ]
    lines, weights = [], []
    for share, statuses, paths, agents in kinds:
        for path in paths:
            way = "POST" if "login" in path and agents is AGENTS else "GET"
            referer = "-" if agents is BOTS or chance.random() < 0.2 else SITE + any_of(("/", "/tasks/", "/login/"))
            lines.append(
                f'"{way} {path} HTTP/{any_of(("1.1", "2.0"))}" {any_of(statuses.split())} {number(150, 90_000)}'
                f' "{referer}" "{any_of(agents)}"'
            )
            weights.append(share / len(paths))
    return lines, list(accumulate(weights))


@lru_cache(maxsize=4096)
def stamp_of(moment: int) -> str:
    """`$time_local` of seconds since the epoch."""
    return datetime.fromtimestamp(moment, UTC).strftime("[%d/%b/%Y:%H:%M:%S +0000]")


def day_lines(day: int, lines: int) -> Iterator[str]:
    """The lines of a day, so many days before the end."""
    chance = random.Random(SEED * 1000 + day)  # noqa: S311  repeatable on purpose
    pool, weights = requests(random.Random(SEED))  # noqa: S311
    picked = chance.choices(pool, cum_weights=weights, k=lines)
    users = [f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}" for _ in range(4000)]
    clients = chance.choices(users, k=lines)
    begin = int((END - timedelta(days=day + 1)).timestamp())
    moments = sorted(int((hour + chance.random()) * 3600) for hour in chance.choices(range(24), HOURS, k=lines))
    bursts = [(chance.randrange(80_000), chance.randrange(60, 900), f"203.0.113.{day * 3 % 250 + n}") for n in range(3)]
    attack = '"POST /api/auth/login/ HTTP/1.1" {} 187 "-" "python-requests/2.32.3"'
    staff = f'"GET /admin/tasks/task/{{}}/change/ HTTP/2.0" 200 18231 "{SITE}/admin/" "{AGENTS[0]}"'
    for second, client, line in zip(moments, clients, picked, strict=True):
        stamp = stamp_of(begin + second)
        luck = chance.random()
        if luck < 0.35 and (burst := next((one for one in bursts if 0 <= second - one[0] < one[1]), None)):
            yield f"{burst[2]} - - {stamp} {attack.format(401 if luck < 0.3 else 403)}\n"
        elif luck > 0.985:
            yield f"{chance.choice(STAFF)} - - {stamp} {staff.format(chance.randrange(9999))}\n"
        else:
            yield f"{client} - - {stamp} {line}\n"


def write_day(directory: Path, lines: int, day: int) -> int:
    """Write a day's file; return its bytes unpacked."""
    data = "".join(day_lines(day, lines)).encode()
    name = "access.log" if not day else f"access.log.{day}"
    if day < 2:
        (directory / name).write_bytes(data)
    else:
        (directory / f"{name}.gz").write_bytes(gzip.compress(data, 6))
    return len(data)


def generate(directory: Path, lines: int, days: int) -> int:
    """Write all days; return their bytes unpacked."""
    with multiprocessing.Pool(2, maxtasksperchild=10) as pool:
        return sum(pool.imap_unordered(partial(write_day, directory, lines // days), range(days)))


class Bench:
    """The sides that are compared, on one directory of logs.

    Args:
        directory: Where the logs are.
        days: How many.

    Attributes:
        asked: What is asked of ours besides.
    """

    asked: tuple[str, ...] = ()

    def __init__(self, directory: Path, days: int) -> None:
        self.directory = directory
        self.days = days
        self.log = directory / "access.log"
        self.cache = directory.with_name(directory.name + ".cache")
        names = ["access.log", *(f"access.log.{day}{'.gz' if day > 1 else ''}" for day in range(1, days))]
        files = " ".join(reversed(names))
        self.zgrep = f"zgrep -hcE '{PATTERN}' {files}"
        self.cat = f"zcat -f {files}"
        self.awk = f"{self.cat} | mawk -f {HERE / 'access.awk'}"
        self.goaccess = f"{self.cat} | goaccess --log-format=COMBINED --no-progress -o {directory}.json -"
        self.peaks: list[int] = []
        self._environment = usual_environment(PYTHONPATH=str(HERE.parent))

    def command(self) -> list[str]:
        """All answers in one process, which remembers what it can."""
        return [sys.executable, "-m", "bench.access_answers", str(self.log), str(self.cache)]

    def ours(self) -> float:
        """Seconds of it."""
        command = [*self.command(), *self.asked]
        return timed(command, cwd=self.directory, environment=self._environment, statuses=(0,))

    def first(self) -> float:
        """Seconds of the same with nothing remembered."""
        self.cache.unlink(missing_ok=True)
        return self.ours()

    def shell(self, command: str) -> float:
        """Seconds of a line of shell."""
        return timed(["sh", "-c", command], cwd=self.directory, environment=self._environment, statuses=(0,))

    def appended(self) -> float:
        """Seconds of a second run, a thousand lines later."""
        with self.log.open("a", encoding="ascii") as log:
            log.writelines(day_lines(0, 1000))
        return self.ours()

    def rewritten(self) -> float:
        """Seconds of a second run that must read the whole live file again."""
        aside = self.log.with_name("aside")
        shutil.copyfile(self.log, aside)
        aside.replace(self.log)
        return self.ours()

    def agree(self) -> None:
        """Compare the answers, and note how much memory ours took.

        Raises:
            SystemExit: They differ.
        """
        self.cache.unlink(missing_ok=True)
        command = [*self.command(), *self.asked]
        ours: dict[str, Any] = json.loads(self._output(command))
        self.peaks = ours["peak"]
        counted = self._output(["sh", "-c", self.zgrep]).split()
        theirs: dict[str, Any] = {"probes": sum(map(int, counted)), "hours": {}, "refused": {}, "visits": {}}
        kinds = {"hour": "hours", "refused": "refused", "visits": "visits"}
        for line in self._output(["sh", "-c", self.awk]).splitlines():
            kind, rest = line.split(" ", 1)
            key, _, number = rest.rpartition(" ")
            theirs[kinds[kind]][_hour(key) if kind == "hour" else key] = int(number)
        for name, wanted in theirs.items():
            if ours[name] != wanted:
                raise SystemExit(f"the answers differ: {name}")
        sys.stdout.write(f"the answers agree: {ours['probes']:,} probes, {sum(ours['hours'].values()):,} requests\n")

    def _output(self, command: Sequence[str]) -> str:
        done = subprocess.run(command, cwd=self.directory, env=self._environment, capture_output=True, check=True)
        return done.stdout.decode()


def _hour(text: str) -> str:
    """`23/Nov/2026:10 2`, an hour and a class of statuses, as our side writes it."""
    when, _, status = text.rpartition(" ")
    at = datetime.strptime(when, "%d/%b/%Y:%H").replace(tzinfo=UTC)
    return f"{int(at.timestamp()) // 3600}{status}"


def beside(name: str, one: Callable[[], float], other: Callable[[], float], rounds: int, *, warm: bool = True) -> None:
    """Compare the time that passes, and the processor's time, which other work on the machine changes less."""
    spent: tuple[list[float], list[float]] = ([], [])

    def measured(run: Callable[[], float], seconds: list[float]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = run()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return wall

    compare(name, partial(measured, one, spent[0]), partial(measured, other, spent[1]), rounds, warm=warm)
    ratios = [ours / theirs for ours, theirs in zip(*spent, strict=True)][-rounds:]
    medians = [statistics.median(seconds[-rounds:]) for seconds in spent]
    sys.stdout.write(
        f"{'':4}{'of the processor':54} {medians[0]:7.3f} s / {medians[1]:7.3f} s = {statistics.median(ratios):6.3f}\n"
    )
    sys.stdout.flush()


def main() -> None:
    """Write the logs, measure and print."""
    parser = argparse.ArgumentParser(description="access logs beside what a person would use instead")
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip-goaccess", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch, "logs")
        directory.mkdir()
        size = generate(directory, options.lines, options.days)
        packed = sum(path.stat().st_size for path in directory.iterdir())
        sys.stdout.write(
            f"{options.lines:,} lines, {size / 1e9:.2f} GB, {packed / 1e6:.0f} MB in {options.days} files\n"
        )
        bench = Bench(directory, options.days)
        bench.agree()
        by_hand = f"{bench.zgrep}; {bench.awk}"
        beside("all answers, first run / zgrep; zcat | mawk", bench.first, lambda: bench.shell(by_hand), options.rounds)
        if not options.skip_goaccess and shutil.which("goaccess"):
            beside("first run / goaccess", bench.first, lambda: bench.shell(bench.goaccess), 1, warm=False)
        bench.first()
        beside("second run, 1,000 lines later / first run", bench.appended, bench.first, options.rounds)
        beside("second run, live file read again / first run", bench.rewritten, bench.first, options.rounds)
        sys.stdout.write("peak memory: {:.0f} MiB, workers {:.0f} MiB each at most\n".format(*_mib(bench.peaks)))


def _mib(peaks: Sequence[int]) -> list[float]:
    return [peak / 1024 for peak in peaks]


if __name__ == "__main__":
    main()
