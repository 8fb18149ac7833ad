"""Unit tests of what the lab is made of; the lab itself is tried by every proof that stands on it."""
