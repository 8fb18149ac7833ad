"""What was seen: plain functions and small frozen dataclasses, without pytest.

Everything here can be called from a shell or a unit test. A function in this
room either returns what it saw, raises :class:`observe.errors.CannotTell` when
the instrument failed, or :class:`observe.errors.NoAnswer` when the system that
is looked at did not answer.
"""
