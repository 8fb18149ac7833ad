"""A second stack of another shape, for what has to find its way on a system that nobody described to it.

It is healthy, and almost nothing is as in the lab: the services are `postgres`, `web` (two replicas) and `worker`;
there is no Redis; the host's nginx ends TLS, with its own configuration and prefix and on loopback ports; the
database's port is published nowhere; the containers are named and labelled as Compose v2 does it, from a
`compose.yaml` with a `compose.prod.yaml` over it; the proxy's logs are rotated with dates; the nightly dumps lie
outside of the project and are called by their day. The checks' role has `pg_monitor` and nothing else.

    python -m lab other up        # the name is $LAB's or --name's, else `otherlab`
    python -m lab other status
    python -m lab other down --keep-images

It writes no target file. What a settings file can't be told by looking at the stack is on `OtherStack`:

    stack = OtherStack("otherlab")
    stack.project, stack.domain, stack.ca_file       # the domain is in no DNS, its authority in no trust store:
    stack.connect_to, stack.http_connect_to          # site.connect_to, site.http_connect_to, site.ca_file
    stack.checks_role, stack.checks_password         # OPS_DATABASE__USER, OPS_DATABASE__PASSWORD
    stack.environment                                # all of these as variables of the checks

and what is to be found is on it as well, to be compared with: `project_directory`, `compose_files`, `backups`,
`pattern`, `database`, `owner`, `certificate`, `nginx_configuration`, `access_log`, `error_log`.
"""

from lab.other.stack import DEFAULT_NAME, OtherStack

__all__ = ["DEFAULT_NAME", "OtherStack"]
