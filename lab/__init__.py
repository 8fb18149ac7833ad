"""The lab: a disposable real Compose stack that looks like the system the operations guide is for.

`python -m lab up` builds and starts one with a year of history behind it; `python -m lab down`
throws it away. Every name, port and directory derives from one lab name, so that several can
stand side by side. `lab.stack.Lab` is the handle by which proofs and benchmarks reach a lab, and
`lab.faults` holds what can be done to one.
"""
