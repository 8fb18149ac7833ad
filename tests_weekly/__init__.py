"""The guide's weekly tasks: Monday morning and Friday afternoon."""
