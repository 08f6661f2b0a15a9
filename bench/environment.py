"""What the figures were measured on."""

import os
import platform
import ssl
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def environment() -> dict[str, str]:
    """Machine, interpreter and libraries, by name."""
    system = f"{platform.system()} {platform.machine()}"
    return {
        "machine": f"{_processor()}, {_cores()} cores, {system}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "fasths": _package("fasths"),
        "cryptography": f"{_package('cryptography')} ({_cryptography_openssl()})",
        "ssl": ssl.OPENSSL_VERSION,
        "pyOpenSSL": _package("pyOpenSSL"),
        "uvloop": _package("uvloop"),
        "aiofastnet": _package("aiofastnet"),
    }


def busy() -> str | None:
    """A warning if other programs keep the machine's cores from this one."""
    load = os.getloadavg()[0]
    if load < _cores() - 0.5:
        return None
    return (
        f"This machine is busy (load {load:.1f} on {_cores()} cores): figures are worse and less "
        "even than they would be on a quiet one; trust the ratios round by round most."
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "in place" if name == "fasths" else "not installed"


def _cryptography_openssl() -> str:
    from cryptography.hazmat.backends.openssl import backend

    return backend.openssl_version_text()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"
