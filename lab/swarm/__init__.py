"""A Swarm of the lab's own: three engines in containers, all of them managers, and a small stack on them.

The machine's own engine is no part of it: it only runs the three containers. Nothing but a request to loopback
reaches their engines from outside.
"""

from lab.swarm.bring_up import SwarmLab, down, up

__all__ = ["SwarmLab", "down", "up"]
