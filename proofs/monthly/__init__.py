"""Proofs of the monthly expectations, on the lab."""
