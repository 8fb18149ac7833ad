"""The target: which system is looked at, how it is reached, and what is wanted of it."""
