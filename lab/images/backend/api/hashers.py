"""Password hashing."""

from django.contrib.auth import hashers


class PBKDF2PasswordHasher(hashers.PBKDF2PasswordHasher):
    """PBKDF2 with SHA-256 at the work factor of current Django, which Debian's release predates."""

    iterations = 720_000
