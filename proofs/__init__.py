"""The suite's own tests: units, and for every expectation the proof that it holds and that it can break."""

from hypothesis import settings

# How long one example takes depends on what else the machine does; it says nothing about the answer.
settings.register_profile("proofs", deadline=None)
settings.load_profile("proofs")
