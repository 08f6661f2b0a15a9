"""fasths.ssl.inject() and extract(), in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from ecosystem.contexts import library

library("requests")
library("urllib3")

COMMON = """
import ssl, sys, types
# Names of a program are changed, too; attributes of objects are not.
plain = types.SimpleNamespace(context=ssl.SSLContext, session=ssl.SSLSession)

def references():
    return {
        (name, key): value
        for name, module in list(sys.modules.items())
        if isinstance(module, types.ModuleType) and not name.startswith("fasths")
        for key, value in list(vars(module).items())
        if isinstance(value, type) and issubclass(value, (plain.context, plain.session))
    }

def is_ours(kind):
    return kind.__module__.startswith("fasths.")
"""


def run(*parts):
    """Run a program; it has to end well."""
    program = "\n".join(textwrap.dedent(each) for each in (COMMON, *parts))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("first", ["inject", "import"])
@pytest.mark.parametrize(
    "library", ["urllib3, urllib3.util.ssl_", "requests, requests.adapters", "asyncio, http.client"]
)
def test_before_and_after_imports(first, library):
    imports = f"import {library}\n"
    inject = "import fasths.ssl\nfasths.ssl.inject()\n"
    run(
        *((imports, inject) if first == "import" else (inject, imports)),
        """
        found = references()
        assert all(map(is_ours, found.values())), found
        assert is_ours(type(ssl.create_default_context()))
        if "urllib3" in sys.modules:
            import urllib3
            assert is_ours(type(urllib3.util.ssl_.create_urllib3_context()))
            assert is_ours(urllib3.util.ssl_.SSLContext)
        """,
    )


def test_the_context_that_requests_keeps():
    run(
        """
        import requests.adapters, fasths.ssl
        # Not every version of it keeps one.
        before = plain.context(ssl.PROTOCOL_TLS_CLIENT)
        before.load_verify_locations(requests.adapters.DEFAULT_CA_BUNDLE_PATH)
        requests.adapters._preloaded_ssl_context = before
        requests.adapters.extract_zipped_paths = requests.utils.extract_zipped_paths
        fasths.ssl.inject()
        during = requests.adapters._preloaded_ssl_context
        assert is_ours(type(during))
        assert during.verify_mode == before.verify_mode == ssl.CERT_REQUIRED
        assert during.check_hostname == before.check_hostname
        assert during.cert_store_stats() == before.cert_store_stats()
        fasths.ssl.extract()
        assert requests.adapters._preloaded_ssl_context is before
        """
    )


def test_twice_is_once():
    run(
        """
        import urllib3, requests
        import fasths.ssl
        before = references()
        attributes = dict(vars(plain.context))
        for _ in range(2):
            fasths.ssl.inject()
            fasths.ssl.inject()
            found = references()
            assert {each for each in before if each[1] == "SSLContext"} <= found.keys()
            assert not set(found.values()) & {plain.context, plain.session}
            fasths.ssl.extract()
            assert references() == before
            assert dict(vars(plain.context)) == attributes
            fasths.ssl.extract()
        assert type(ssl.create_default_context()) is plain.context
        """
    )


def test_contexts_of_before_and_of_meanwhile():
    """Their setters look for the name of a class that is another one now."""
    run(
        """
        import warnings
        import fasths.ssl

        def use(context):
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.maximum_version = ssl.TLSVersion.TLSv1_3
            context.options |= ssl.OP_NO_TICKET
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.hostname_checks_common_name = False
            context._msg_callback = print
            assert context._msg_callback is print
            assert context.minimum_version is ssl.TLSVersion.TLSv1_2
            assert ssl.OP_NO_TICKET in context.options
            assert context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO()).version() is None

        of_before = plain.context(ssl.PROTOCOL_TLS_CLIENT)
        use(of_before)
        fasths.ssl.inject()
        use(of_before)
        assert type(of_before) is plain.context
        of_meanwhile = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        assert is_ours(type(of_meanwhile))
        use(of_meanwhile)

        class Context(ssl.SSLContext):
            pass

        use(Context(ssl.PROTOCOL_TLS_CLIENT))
        # Event loops look whether it is a context.
        assert isinstance(of_before, ssl.SSLContext)
        assert isinstance(of_meanwhile, ssl.SSLContext)
        assert not isinstance(of_before, Context)
        assert not isinstance(object(), ssl.SSLContext)
        fasths.ssl.extract()
        assert isinstance(of_before, ssl.SSLContext)
        assert isinstance(of_meanwhile, ssl.SSLContext)
        assert not isinstance(of_before, fasths.ssl.SSLContext)
        use(of_before)
        use(of_meanwhile)
        """
    )


def test_messages_are_seen_the_same_way():
    run(
        """
        import fasths.ssl
        def kinds():
            seen = []
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context._msg_callback = lambda *seen_by: seen.append(seen_by[1:5])
            try:
                context.wrap_bio(
                    ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost"
                ).do_handshake()
            except ssl.SSLWantReadError:
                pass
            return [each for each in seen if each[2] == ssl._TLSContentType.HANDSHAKE]

        before = kinds()
        assert before, before
        fasths.ssl.inject()
        during = kinds()
        assert during[0][0] == before[0][0] == "write"
        assert list(map(repr, during[0][2:])) == list(map(repr, before[0][2:]))
        """
    )


def test_an_injection_that_fails_leaves_nothing_behind():
    run(
        """
        import requests.adapters
        import fasths.ssl
        context = plain.context(ssl.PROTOCOL_TLS_CLIENT)
        requests.adapters._preloaded_ssl_context = context
        requests.adapters.extract_zipped_paths = str
        requests.adapters.DEFAULT_CA_BUNDLE_PATH = "/nonexistent/bundle.pem"
        before, attributes = references(), dict(vars(plain.context))
        for _ in range(2):
            try:
                fasths.ssl.inject()
            except OSError:
                pass
            else:
                raise AssertionError("it was injected")
            assert references() == before
            assert dict(vars(plain.context)) == attributes
            assert requests.adapters._preloaded_ssl_context is context
        """
    )


def test_names_of_the_program_and_odd_ones():
    run(
        """
        import sys
        import fasths.ssl
        SSLContext = plain.context
        module = types.ModuleType("odd")

        class Kind(type):
            __hash__ = None
            def __eq__(self, other):
                raise RuntimeError("it cannot be compared")

        module.Odd = Kind("Odd", (), {})
        module.Context = plain.context
        sys.modules["odd"] = module
        sys.modules["no module"] = None
        fasths.ssl.inject()
        assert is_ours(SSLContext)
        assert is_ours(module.Context)
        fasths.ssl.extract()
        assert SSLContext is module.Context is plain.context
        """
    )


def test_in_the_place_of_the_module():
    run(
        """
        import fasths.ssl
        sys.modules["ssl"] = fasths.ssl
        import asyncio, http.client, urllib.request
        assert is_ours(type(http.client.HTTPSConnection("localhost")._context))
        assert set(vars(ssl)) <= set(vars(fasths.ssl))
        for name in ssl.__dict__:
            value = getattr(fasths.ssl, name)
            if isinstance(value, types.FunctionType) and value.__module__ == "ssl":
                assert value.__globals__ is vars(fasths.ssl), name
        """
    )
