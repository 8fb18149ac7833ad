"""The restore drill: a backup loaded into a PostgreSQL that is thrown away, and held against the live one.

`scratch` makes that server and takes it away, `load` streams the backup into
it, `compare` holds the two against each other, and `drill` does all of it once.
"""
