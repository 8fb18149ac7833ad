"""Proofs of the weekly expectations, on the lab."""
