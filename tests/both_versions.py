"""A fixture that lets all tests of a module run in TLS 1.3 and in TLS 1.2.

    from both_versions import FOR_TLS13, version

    __all__ = ["version"]

Where only some tests of a module shall, they ask for it:

    from both_versions import IN_BOTH_VERSIONS, chosen_version

    __all__ = ["chosen_version"]

    @IN_BOTH_VERSIONS
    def test_...

It is the only version that the Contexts of helpers have then, but for those that are kept for
several tests, such as unverified_contexts().
"""

from __future__ import annotations

import functools

import helpers
import pytest

import fasths
from fasths import TLSVersion

TLS12, TLS13 = TLSVersion.TLSv1_2, TLSVersion.TLSv1_3
# For a test of what TLS 1.2 does not have.
FOR_TLS13 = pytest.mark.parametrize("version", [TLS13], ids=["1.3"], indirect=True)


@functools.cache
def contexts_in(_version: TLSVersion) -> tuple[fasths.Context, fasths.Context]:
    return helpers.client_context(), helpers.server_context()


def only_version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TLSVersion:
    chosen: TLSVersion = request.param
    for name in ("minimum_version", "maximum_version"):
        monkeypatch.setitem(helpers.QUICK, name, chosen)
    monkeypatch.setattr(helpers, "default_contexts", lambda: contexts_in(chosen))
    return chosen


of_both = functools.partial(
    pytest.fixture, name="version", params=[TLS13, TLS12], ids=["1.3", "1.2"]
)
version = of_both(only_version, autouse=True)
chosen_version = of_both(only_version)
IN_BOTH_VERSIONS = pytest.mark.usefixtures("version")
