"""Fixtures of the ecosystem's tests: certificates, and both modules in each direction."""

from __future__ import annotations

import os
import ssl

import pytest

from .contexts import MODULES, VERSIONS, Certificates, Sides


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says, the tests go straight to the loopback."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("ecosystem"))


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    return VERSIONS[request.param]


@pytest.fixture(params=MODULES)
def sides(
    request: pytest.FixtureRequest, version: ssl.TLSVersion, certificates: Certificates
) -> Sides:
    """fasths as the client of the real module, as its server, and on both sides."""
    return Sides(*MODULES[request.param], version, certificates)


@pytest.fixture
def both(version: ssl.TLSVersion, certificates: Certificates) -> Sides:
    """fasths on both sides, for what need not be tried in each direction."""
    return Sides(*MODULES["both"], version, certificates)
