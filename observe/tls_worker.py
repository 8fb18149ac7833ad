"""sslyze, in a process of its own: tries what it is told to, writes what it saw, and ends.

Its threads go on connecting until all is tried, and one that dies leaves the others waiting for ever. So nobody but
:mod:`observe.tls` runs this, who ends it when its time is up. What is wanted stands in a variable of the environment,
as JSON; what was seen is written as JSON, with the names that the classes over there have. Nothing of this suite is
imported here, so that any Python that has sslyze can run it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

from sslyze import (
    RobotScanResultEnum,
    ScanCommand,
    ScanCommandAttemptStatusEnum,
    Scanner,
    ServerNetworkConfiguration,
    ServerNetworkLocation,
    ServerScanRequest,
    TlsVersionEnum,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sslyze import (
        AllScanCommandsAttempts,
        CipherSuiteAcceptedByServer,
        CipherSuitesScanResult,
        CompressionScanResult,
        FallbackScsvScanResult,
        HeartbleedScanResult,
        OpenSslCcsInjectionScanResult,
        RobotScanResult,
        ScanCommandAttempt,
        ServerScanResult,
        SessionRenegotiationScanResult,
    )

    _Said = tuple[bool | None, str]

_VERSIONS = {
    ScanCommand.SSL_2_0_CIPHER_SUITES: "SSL 2.0",
    ScanCommand.SSL_3_0_CIPHER_SUITES: "SSL 3.0",
    ScanCommand.TLS_1_0_CIPHER_SUITES: "TLS 1.0",
    ScanCommand.TLS_1_1_CIPHER_SUITES: "TLS 1.1",
    ScanCommand.TLS_1_2_CIPHER_SUITES: "TLS 1.2",
    ScanCommand.TLS_1_3_CIPHER_SUITES: "TLS 1.3",
}
_ROBOT = {
    RobotScanResultEnum.VULNERABLE_WEAK_ORACLE: (True, "it tells padding that is wrong, though an attack takes long"),
    RobotScanResultEnum.VULNERABLE_STRONG_ORACLE: (True, "it tells padding that is wrong, and can be attacked"),
    RobotScanResultEnum.NOT_VULNERABLE_NO_ORACLE: (False, "not there: it doesn't tell padding that is wrong"),
    RobotScanResultEnum.NOT_VULNERABLE_RSA_NOT_SUPPORTED: (False, "not there: no keys are exchanged by RSA"),
    RobotScanResultEnum.UNKNOWN_INCONSISTENT_RESULTS: (None, "it answers the same thing now so and now otherwise"),
}


class _Flaws:
    """Each flaw: from what sslyze says, whether it is there (None for can't tell), and what was seen."""

    @staticmethod
    def heartbleed(seen: HeartbleedScanResult) -> _Said:
        return _if(seen.is_vulnerable_to_heartbleed, "it sends its memory along when it is asked to")

    @staticmethod
    def ccs_injection(seen: OpenSslCcsInjectionScanResult) -> _Said:
        return _if(seen.is_vulnerable_to_ccs_injection, "it takes up encryption before there is a key")

    @staticmethod
    def robot(seen: RobotScanResult) -> _Said:
        return _ROBOT[seen.robot_result]

    @staticmethod
    def crime(seen: CompressionScanResult) -> _Said:
        return _if(seen.supports_compression, "it compresses what it encrypts")

    @staticmethod
    def insecure_renegotiation(seen: SessionRenegotiationScanResult) -> _Said:
        return _if(not seen.supports_secure_renegotiation, "what was said before may be another's (RFC 5746)")

    @staticmethod
    def renegotiation_by_the_client(seen: SessionRenegotiationScanResult) -> _Said:
        times = seen.client_renegotiations_success_count
        found = seen.is_vulnerable_to_client_renegotiation_dos
        return _if(found, f"one connection made it work {times} times over, and could go on")

    @staticmethod
    def downgrade(seen: FallbackScsvScanResult) -> _Said:
        return _if(not seen.supports_fallback_scsv, "it takes who was talked into an old version (RFC 7507)")


def _if(found: bool, said: str) -> _Said:
    return found, said if found else "not there"


_FLAWS: tuple[tuple[str, ScanCommand, Callable[[Any], _Said]], ...] = (
    ("Heartbleed", ScanCommand.HEARTBLEED, _Flaws.heartbleed),
    ("CCS injection", ScanCommand.OPENSSL_CCS_INJECTION, _Flaws.ccs_injection),
    ("ROBOT", ScanCommand.ROBOT, _Flaws.robot),
    ("CRIME", ScanCommand.TLS_COMPRESSION, _Flaws.crime),
    ("insecure renegotiation", ScanCommand.SESSION_RENEGOTIATION, _Flaws.insecure_renegotiation),
    ("renegotiation by the client", ScanCommand.SESSION_RENEGOTIATION, _Flaws.renegotiation_by_the_client),
    ("downgrade", ScanCommand.TLS_FALLBACK_SCSV, _Flaws.downgrade),
)
_RULED_OUT = (ScanCommand.HEARTBLEED, ScanCommand.OPENSSL_CCS_INJECTION)
"""What sslyze doesn't try where TLS 1.3 is spoken."""
_CONNECTING = "sslyze.errors."
_RULED_OUT_SAID = "not there: no version that has it speaks TLS 1.3"


def scan(wanted: dict[str, Any]) -> dict[str, Any]:
    """Try all that is wanted of a server, with nothing but handshakes and one request."""
    commands = {
        *_VERSIONS,
        *(command for _, command, _ in _FLAWS),
        ScanCommand.ELLIPTIC_CURVES,
        ScanCommand.TLS_1_3_EARLY_DATA,
    }
    name = wanted["name"]
    request = ServerScanRequest(
        ServerNetworkLocation(name, wanted["port"], ip_address=wanted["address"]),
        ServerNetworkConfiguration(name, http_user_agent=wanted["agent"], network_timeout=wanted["patience"]),
        commands,
    )
    scanner = Scanner(per_server_concurrent_connections_limit=wanted["together"], concurrent_server_scans_limit=1)
    scanner.queue_scans([request])
    (result,) = scanner.get_results()
    return _seen(result)


def _seen(result: ServerScanResult) -> dict[str, Any]:
    reached, attempts = result.connectivity_result, result.scan_result
    if reached is None or attempts is None:
        return {"unreachable": _told_by(_last(result.connectivity_error_trace)) or "it can't be reached"}
    newest = reached.highest_tls_version_supported is TlsVersionEnum.TLS_1_3
    return {
        "highest": list(_VERSIONS.values())[reached.highest_tls_version_supported.value - 1],
        "versions": [_version(name, getattr(attempts, command.value)) for command, name in _VERSIONS.items()],
        "flaws": [
            _flaw(name, getattr(attempts, command.value), tell, ruled_out=newest and command in _RULED_OUT)
            for name, command, tell in _FLAWS
        ],
        "groups": _groups(attempts),
        "early_data": _early_data(attempts),
    }


def _version(name: str, attempt: ScanCommandAttempt[CipherSuitesScanResult]) -> dict[str, Any]:
    result = attempt.result
    if result is None:
        return {"name": name, "failed": _why(attempt)}
    # sslyze takes silence for a refusal.
    silent = sum("timed out" in one.error_message for one in result.rejected_cipher_suites)
    return {
        "name": name,
        "accepted": [_suite(one) for one in result.accepted_cipher_suites],
        "refused": len(result.rejected_cipher_suites) - silent,
        "unanswered": silent,
    }


def _suite(accepted: CipherSuiteAcceptedByServer) -> dict[str, Any]:
    key, suite = accepted.ephemeral_key, accepted.cipher_suite
    exchange = {} if key is None else {"exchange": key.type_name, "bits": key.size}
    return {"name": suite.name, "openssl": suite.openssl_name, **exchange}


def _flaw(
    name: str, attempt: ScanCommandAttempt[Any], tell: Callable[[Any], _Said], *, ruled_out: bool
) -> dict[str, Any]:
    if attempt.status is not ScanCommandAttemptStatusEnum.COMPLETED:
        return {"name": name, "found": None, "said": _why(attempt)}
    found, said = (False, _RULED_OUT_SAID) if ruled_out else tell(attempt.result)
    return {"name": name, "found": found, "said": said}


def _groups(attempts: AllScanCommandsAttempts) -> dict[str, Any]:
    result = attempts.elliptic_curves.result
    if result is None:
        return {"failed": _why(attempts.elliptic_curves)}
    accepted = [one.name for one in result.supported_curves or ()]
    return {"accepted": accepted, "refused": len(result.rejected_curves or ())}


def _early_data(attempts: AllScanCommandsAttempts) -> str:
    result = attempts.tls_1_3_early_data.result
    if result is None:
        return ""
    if result.supports_early_data:
        return (
            "TLS 1.3's early data (0-RTT) is taken: whoever records a request can send it again (RFC 8446, section 8)"
        )
    return "early data (0-RTT), which could be sent again by others, isn't taken"


def _why(attempt: ScanCommandAttempt[Any]) -> str:
    said = _last(attempt.error_trace)
    if attempt.error_reason is None or said.startswith(_CONNECTING):
        # Also what sslyze calls a bug of its own, when the connection isn't made at all.
        return _told_by(said) or "it wasn't tried"
    return f"{attempt.error_reason.value.lower().replace('_', ' ')}: {said}"


def _told_by(said: str) -> str:
    """What sslyze says of a connection, without its kind and where it led."""
    return said.partition(" -> ")[2].strip('". ') or said


def _last(trace: traceback.TracebackException | None) -> str:
    """What an exception says, without where it came from."""
    said = "" if trace is None else "".join(trace.format_exception_only())
    return " ".join(said.split())[:200]


def _die(failed: threading.ExceptHookArgs) -> None:
    """End everything when a thread dies: the others would wait for what it owes them."""
    traceback.print_exception(failed.exc_type, failed.exc_value, failed.exc_traceback)
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    threading.excepthook = _die
    json.dump(scan(json.loads(os.environ["TLS_WANTED"])), sys.stdout)
