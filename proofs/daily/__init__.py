"""Proofs of the daily expectations, on the lab."""
