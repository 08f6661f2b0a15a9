"""Fixtures of the interoperation tests: one per tool, and the certificates."""

import fcntl
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from .credentials import Authority
from .feature_peers import FeatureGnuTLS, FeatureGo, FeatureOpenSSL, FeaturePeer, FeatureStdlib
from .in_process_peers import PyOpenSSL, Tlslite
from .processes import require

GO_SOURCE = Path(__file__).with_name("go")


@dataclass(frozen=True)
class Certificates:
    """An authority that both sides know, and one that only its own leaves know."""

    authority: Authority
    stranger: Authority


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("certificates")
    return Certificates(Authority(directory, "authority"), Authority(directory, "stranger"))


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> FeaturePeer:
    """The one that with_peers() names."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def stdlib() -> FeatureStdlib:
    return FeatureStdlib()


@pytest.fixture(scope="session")
def openssl(tmp_path_factory: pytest.TempPathFactory) -> FeatureOpenSSL:
    return FeatureOpenSSL(tmp_path_factory.mktemp("openssl"))


@pytest.fixture(scope="session")
def gnutls(tmp_path_factory: pytest.TempPathFactory) -> FeatureGnuTLS:
    return FeatureGnuTLS(tmp_path_factory.mktemp("gnutls"))


@pytest.fixture(scope="session")
def pyopenssl() -> PyOpenSSL:
    return PyOpenSSL()


@pytest.fixture(scope="session")
def tlslite() -> Tlslite:
    return Tlslite()


@pytest.fixture(scope="session")
def curl() -> str:
    return require("curl")


@pytest.fixture(scope="session")
def nginx() -> str:
    return require("nginx")


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> FeatureGo:
    """Builds the Go program, once for all of pytest-xdist's workers."""
    compiler = require("go")
    directory = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        directory = directory.parent
    program = directory / "interop-go"
    with open(directory / "interop-go.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            built = subprocess.run(
                [compiler, "build", "-o", program, "."],
                cwd=GO_SOURCE,
                env={
                    "HOME": str(directory),  # for the build cache, where there is no home
                    **os.environ,
                    "GOTOOLCHAIN": "local",
                    "GOFLAGS": "-mod=readonly -buildvcs=false",
                    "CGO_ENABLED": "0",
                },
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            if "requires go" in built.stderr.lower():  # what go.mod says
                pytest.skip(f"go is too old: {built.stderr.strip()}")
            assert built.returncode == 0, built.stderr
    return FeatureGo(program, tmp_path_factory.mktemp("go"))
