"""What can be done to a lab: one fault for each way in which an expectation breaks.

A fault does one thing, shows that it took, and undoes it:

    with by_name("service-stopped").applied(lab) as took:
        ...  # took.before, took.after; took.target when another target file has to be used
"""

from lab.faults import (
    access,
    accounts,
    anomalies,
    archive,
    backups,
    certificates,
    confinement,
    dependencies,
    deployment,
    drills,
    endpoints,
    files,
    on_call,
    performance,
    probes,
    readiness,
    records,
    restore,
    restored_content,
    roles,
    scaling,
    scan,
    security_script,
    services,
    site,
    storage,
    tls,
    traces,
    usage,
    vulnerabilities,
)
from lab.faults.fault import Fault, FaultDidNotTake, Took

FAULTS: tuple[Fault, ...] = (
    *services.FAULTS,
    *site.FAULTS,
    *certificates.FAULTS,
    *deployment.FAULTS,
    *files.FAULTS,
    *backups.FAULTS,
    *restore.FAULTS,
    *restored_content.FAULTS,
    *traces.FAULTS,
    *security_script.FAULTS,
    *dependencies.FAULTS,
    *probes.FAULTS,
    *accounts.FAULTS,
    *usage.FAULTS,
    *records.FAULTS,
    *performance.FAULTS,
    *endpoints.FAULTS,
    *storage.FAULTS,
    *scaling.FAULTS,
    *readiness.FAULTS,
    *archive.FAULTS,
    *on_call.FAULTS,
    *drills.FAULTS,
    *vulnerabilities.FAULTS,
    *scan.FAULTS,
    *tls.FAULTS,
    *roles.FAULTS,
    *confinement.FAULTS,
    *access.FAULTS,
    *anomalies.FAULTS,
)

__all__ = ["FAULTS", "Fault", "FaultDidNotTake", "Took", "by_name"]


def by_name(name: str) -> Fault:
    """The fault of that name.

    Raises:
        KeyError: there is none.
    """
    return {fault.name: fault for fault in FAULTS}[name]
