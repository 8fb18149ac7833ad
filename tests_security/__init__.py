"""The guide's quarterly security review. None is an expectation yet."""
