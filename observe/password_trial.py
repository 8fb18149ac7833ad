"""Trying words on stored passwords: which words, on which account first, and within which time.

A guess costs what the hash was made to cost, a quarter of a second and more, so the list is short and begins with the
likeliest. The reckoning is done by threads of our own, which the libraries let run at once, and which stand back a
little for whatever else the machine has to do.

Nothing here says which word was the right one: all words are tried on every account, also after one has fitted, so
that neither their number nor the time tells.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from observe.errors import CannotTell
from observe.password_hashes import MOST_MEMORY, matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from observe.password_hashes import Hash

OURS = Path(__file__).with_name("common_passwords.txt")
LIKELIEST = 10
"""So many of an account's words must have been tried, beside all that the settings give."""
MOST_GIVEN = 1024 * 1024
"""A file of words with more bytes than this is a list from elsewhere, which no time would be enough for."""
_LONGEST_NAME = 100
_STANDS_BACK = 2
"""By so much our threads are less urgent than others (nice)."""
_GRACE = 5.0
"""So much longer than expected a guess may take before nobody waits for it any more, in seconds."""


class Words:
    """Words to try on one account. They can be counted and tried, and are shown nowhere.

    Attributes:
        first: So many of them, from the beginning, have to be tried.
    """

    __slots__ = ("_words", "first")

    def __init__(self, words: Iterable[str], first: int) -> None:
        self._words = tuple(words)
        self.first = min(first, len(self._words))

    def __len__(self) -> int:
        return len(self._words)

    def fits(self, rank: int, stored: Hash) -> bool | None:
        """Whether the word of that rank is the password; None when that couldn't be found out."""
        return matches(stored, self._words[rank])

    def then(self, likely: Words) -> Words:
        """These, and after them those others that aren't among them.

        Args:
            likely: The words of an account, the likeliest first.
        """
        every = dict.fromkeys((*self._words, *likely._words))
        return Words(every, len(dict.fromkeys((*self._words, *likely._words[: likely.first]))))


def given_words(path: Path | None) -> Words:
    """The words that the settings give, one a line; none where they name no file.

    Raises:
        CannotTell: If the file isn't there, can't be read, is too long, isn't UTF-8 or has no word.
    """
    words, trouble = (Words((), 0), "") if path is None else _read(path)
    if trouble:
        raise CannotTell(
            f"the words of passwords.words can't be tried: {path} {trouble}",
            mend="Mend the file, one password a line in UTF-8, or take passwords.words out of the target.",
        )
    return words


def _read(path: Path) -> tuple[Words, str]:
    """A file's words, or what is wrong with it. Apart, so that no frame that raises holds a word."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_GIVEN + 1)
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return Words((), 0), "isn't UTF-8"
    except OSError as error:
        return Words((), 0), f"can't be read: {error.strerror}"
    if len(content) > MOST_GIVEN:
        return Words((), 0), f"is longer than {MOST_GIVEN // 1024**2} MiB"
    words = tuple(dict.fromkeys(filter(None, lines)))
    return Words(words, len(words)), "" if words else "has no word"


def likely_words(names: Mapping[str, str], year: int) -> Words:
    """Our own words with an account's names filled in, as they are written and in lower case.

    Args:
        names: What the places in the list stand for; a word with a place that isn't known is left out.
        year: The present one.
    """
    known = {place: name for place, name in names.items() if 0 < len(name) <= _LONGEST_NAME}
    known |= {"year": str(year), "before": str(year - 1)}
    lines = [line for line in OURS.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    words = [tuple(_filled(line, known)) for line in lines]
    likeliest = dict.fromkeys(word for some in islice(filter(None, words), LIKELIEST) for word in some)
    return Words(dict.fromkeys((*likeliest, *(word for some in words for word in some))), len(likeliest))


def _filled(line: str, known: Mapping[str, str]) -> Iterator[str]:
    """A line of the list with its place filled in; nothing when what it stands for isn't known."""
    before, brace, rest = line.partition("{")
    place, _, rest = rest.partition("}")
    if not brace:
        yield line
        return
    for name in dict.fromkeys((known.get(place, ""), known.get(place, "").lower())):
        if name:
            # After a name comes a year or nothing with a brace.
            yield from _filled(before + name.replace("{", "").replace("}", "") + rest, known)


@dataclass
class Trial:
    """The words for one account, and what came of trying them.

    Attributes:
        stored: The account's hash.
        words: What to try on it.
        seconds: How long a guess takes, in seconds: reckoned at first, then measured.
        tried: How many were tried.
        tried_first: How many of those that had to be.
        fitted: Whether one of them is the password.
        impossible: How many guesses could not be made.
    """

    stored: Hash
    words: Words
    seconds: float
    tried: int = 0
    tried_first: int = 0
    fitted: bool = False
    impossible: int = 0

    def take(self, rank: int, fits: bool | None, seconds: float) -> None:
        """Count a guess."""
        if fits is None:
            self.impossible += 1
            return
        self.seconds = seconds if not self.tried else max(self.seconds * 0.9, seconds)
        self.tried += 1
        self.tried_first += rank < self.words.first
        self.fitted |= fits


class Trials:
    """Tries the words of several accounts within a time.

    The words that have to be tried come first; then every account gets the same time, so that a cheap hash is soon
    done with and a dear one keeps no other from its turn.

    Args:
        trials: The accounts.
        seconds: The total time limit. A guess that wouldn't end within it isn't begun.
    """

    def __init__(self, trials: Sequence[Trial], seconds: float) -> None:
        self._trials = [one for one in trials if one.stored.memory <= MOST_MEMORY]
        order = sorted(
            (rank >= one.words.first, one.seconds * (rank + 1), number, rank)
            for number, one in enumerate(self._trials)
            for rank in range(len(one.words))
        )
        self._next = iter([(self._trials[number], rank) for _, _, number, rank in order])
        self._seconds = seconds
        self._deadline = 0.0
        self._over = threading.Event()
        self._lock = threading.Lock()

    def run(self) -> float:
        """Try them. No thread is left when it returns or is interrupted.

        Returns:
            How long it took, in seconds.
        """
        begun = time.monotonic()
        self._deadline = begun + self._seconds
        longest = max((one.seconds for one in self._trials), default=0.0)
        ends = [threading.Event() for _ in range(self._workers())]
        threads = [threading.Thread(target=self._work, args=(end,), name="guessing", daemon=True) for end in ends]
        try:
            for thread in threads:
                thread.start()
            _wait(ends, self._deadline + longest + _GRACE)
        finally:
            self._over.set()
            # Whoever is in the middle of a guess ends it.
            _wait(ends[: sum(thread.ident is not None for thread in threads)], time.monotonic() + longest + _GRACE)
            for thread, end in zip(threads, ends, strict=True):
                if end.is_set():
                    thread.join()
        return time.monotonic() - begun

    def _workers(self) -> int:
        """As many as there are processors, and as the memory that a guess takes allows."""
        processors = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        largest = max((one.stored.memory for one in self._trials), default=0)
        return max(1, min(processors, MOST_MEMORY // max(largest, 1)))

    def _work(self, end: threading.Event) -> None:
        try:
            _stand_back()
            while not self._over.is_set():
                with self._lock:
                    trial, rank = next(self._next, (None, 0))
                if trial is None:
                    return
                begun = time.monotonic()
                if begun + trial.seconds > self._deadline:
                    continue
                fits = trial.words.fits(rank, trial.stored)
                with self._lock:
                    trial.take(rank, fits, time.monotonic() - begun)
        finally:
            end.set()


def _stand_back() -> None:
    """Make this thread a little less urgent than others; only on Linux a thread has a priority of its own."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            nice = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice + _STANDS_BACK)


def _wait(ends: Sequence[threading.Event], until: float) -> None:
    """Wait for threads to end, at most until then.

    Not by joining them: a join that is interrupted takes a thread for ended that isn't, in Python 3.11 at least. In
    short turns, so that a signal that another thread was given is seen soon.
    """
    for end in ends:
        while not end.wait(0.2) and time.monotonic() < until:
            pass
