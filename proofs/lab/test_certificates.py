"""The throw-away authority and the layout of its certificates."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from lab import certificates

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
NAMES = ["a.test", "www.a.test", "localhost", "127.0.0.1"]


@pytest.fixture(scope="module")
def authority() -> certificates.Authority:
    return certificates.make_authority("a", NOW)


def verify(authority: certificates.Authority, leaf: certificates.Signed, name: str, when: dt.datetime) -> None:
    policy = PolicyBuilder().store(Store([authority.root.certificate])).time(when)
    verifier = policy.build_server_verifier(x509.DNSName(name))
    verifier.verify(leaf.certificate, [authority.intermediate.certificate])


def test_the_chain_stands_up_to_strict_verification(authority: certificates.Authority) -> None:
    leaf = certificates.issue(authority, NAMES, NOW)
    verify(authority, leaf, "www.a.test", NOW + dt.timedelta(days=89))


@pytest.mark.parametrize(("name", "days"), [("b.test", 1), ("a.test", 91), ("a.test", -1)])
def test_it_is_for_its_names_and_its_time_alone(authority: certificates.Authority, name: str, days: int) -> None:
    leaf = certificates.issue(authority, NAMES, NOW)
    with pytest.raises(VerificationError):
        verify(authority, leaf, name, NOW + dt.timedelta(days=days))


def test_another_intermediate_is_vouched_for_by_the_same_root(authority: certificates.Authority) -> None:
    between = certificates.issue_intermediate(authority.root, "b", NOW, dt.timedelta(days=22))
    another = certificates.Authority(authority.root, between)
    leaf = certificates.issue(another, NAMES, NOW)
    verify(another, leaf, "a.test", NOW + dt.timedelta(days=21))
    with pytest.raises(VerificationError):
        verify(another, leaf, "a.test", NOW + dt.timedelta(days=23))


def test_files_lie_as_lets_encrypt_lays_them(authority: certificates.Authority, tmp_path: Path) -> None:
    leaf = certificates.issue(authority, NAMES, NOW)
    for number in (1, 2):
        assert certificates.install(leaf, [authority.intermediate], tmp_path, "a.test") == number
    assert certificates.current(tmp_path, "a.test") == 2
    certificates.point_at(tmp_path, "a.test", 1)
    assert certificates.current(tmp_path, "a.test") == 1
    certificates.point_at(tmp_path, "a.test", 2)
    live = tmp_path / "live" / "a.test"
    assert (live / "fullchain.pem").readlink() == Path("../../archive/a.test/fullchain2.pem")
    assert (live / "fullchain.pem").read_bytes() == leaf.pem + authority.intermediate.pem
    assert (live / "privkey.pem").stat().st_mode & 0o777 == 0o600


def test_an_authority_is_read_back_as_it_was_kept(authority: certificates.Authority, tmp_path: Path) -> None:
    certificates.save_authority(authority, tmp_path)
    assert certificates.load_authority(tmp_path).intermediate.pem == authority.intermediate.pem
