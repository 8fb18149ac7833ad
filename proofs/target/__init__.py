"""Proofs of how a target is read."""
