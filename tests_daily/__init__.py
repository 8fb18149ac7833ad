"""The guide's daily tasks: the morning check-in and the end-of-day check."""
