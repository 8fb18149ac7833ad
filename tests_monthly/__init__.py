"""The guide's monthly tasks. None is an expectation yet."""
