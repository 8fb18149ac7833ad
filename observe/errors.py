"""The two ways in which looking can end without an observation.

They are kept apart because they mean opposite things to an operator: with
:class:`NoAnswer` the system is broken; with :class:`CannotTell` nobody knows.
"""

from __future__ import annotations


class CannotTell(Exception):  # noqa: N818  a verdict in the operator's words, not an "error"
    """The instrument failed: nothing can be said about the system.

    Raised for a refused socket, a wrong password, a file that may not be read,
    a log driver without a log, or an observation that looked at nothing.

    Args:
        what: What is in the way, in one sentence for the operator.
        mend: What the operator can do about it; empty when nothing sensible can be said.
        cause: Name of the connection or thing that this waits for (`engine`,
            `database`, `site`, `backups`, …). Results with the same cause are
            one line for the reader. Empty when the cause is this check's own.
    """

    def __init__(self, what: str, *, mend: str = "", cause: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend
        self.cause = cause


class NoAnswer(AssertionError):  # noqa: N818  see above
    """The subject itself does not answer, which is a broken expectation.

    Args:
        what: What was asked and what happened instead, in one sentence.
        cause: As in :class:`CannotTell`.
    """

    def __init__(self, what: str, *, cause: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
