"""The suite's own tests: units, and for every expectation the proof that it holds and that it can break."""
