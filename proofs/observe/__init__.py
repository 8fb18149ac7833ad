"""Proofs of the observations."""
