"""The dynamic scan: a scanner of somebody else's, the gate that it has to go through, and what it found."""
