"""What is known against the packages that are installed, as pip-audit and npm say.

Serves the guide's quarterly `pip-audit` and `npm audit`. Both answer "nothing" in two ways that look the same: nothing
is known, or nobody was asked who knows. pip-audit ends 0 when it has skipped everything, and takes `{}` for an answer;
npm ends 0 where its registry answers `{}`, `[]` or `null`. So every package is accounted for, and something that
everybody knows is asked for along with it, in the same run of the same program: old versions with advisories that will
not go away. A source that knows nothing of those isn't one.

Proven against a server of the lab's own that speaks as OSV and npm's registry do, by pip-audit and npm themselves; OSV
and the public registry were not asked for the proofs.
"""
