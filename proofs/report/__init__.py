"""Proofs of the reporting side."""
