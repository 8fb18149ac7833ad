"""Drills, which disturb the stack on purpose, ask the site meanwhile as its users would, and put everything back."""
