"""Measurements beside what a person would use instead: ratios of whole processes, taken in turn in one run."""
