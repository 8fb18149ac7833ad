"""Proofs of the way by SSH: against a real sshd, for an account that has the rights of the document and no others."""
