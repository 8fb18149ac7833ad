"""Stacks that have outgrown one machine."""
