"""Finding out what a target file has to say: which stack stands where, and what of it plays which part.

It looks at a container engine and at the host that it runs on, and writes one
file on this machine. Nothing is changed over there, and nothing is asked for a
secret: of a container's environment the names are read, and of its values only
those that :data:`discover.stacks.PUBLIC` lists.
"""
