"""Proofs of what is observed, with containers and servers that they make for themselves."""
