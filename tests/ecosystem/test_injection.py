"""Programs that have never heard of fasths, each in a process of its own, over fasths.ssl.

They say themselves what is inside of their connections; without an injection they say the same of
the real module, or these tests would show nothing.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator

import pytest
from interop.processes import TIMEOUT

from .contexts import HOST, MODULES, Certificates, Sides, library
from .http_servers import LARGE, TLSServer, running
from .injected_programs import EACH_WAY, HOW, launch, output_of


@pytest.fixture
def server_side(both: Sides) -> Sides:
    """Of the server there is the real module alone."""
    return Sides(*MODULES["client"], both.version, both.certificates)


@pytest.fixture
def url(server_side: Sides) -> Iterator[str]:
    with running(TLSServer(server_side.server_context())) as port:
        yield f"https://{HOST}:{port}/large"


HTTP_CLIENTS = {
    "requests_client.py": "requests,urllib3",
    "urllib3_client.py": "urllib3,urllib3.util.ssltransport",
    "urllib_client.py": "urllib.request,http.client,ssl",
}


@EACH_WAY
@pytest.mark.parametrize("program", HTTP_CLIENTS)
def test_http_clients(how: str, program: str, url: str, certificates: Certificates) -> None:
    if "urllib_" not in program:
        library(program.partition("_")[0])
    printed = output_of(how, HTTP_CLIENTS[program], program, url, certificates.authority)
    assert printed == [HOW[how], "True", str(len(LARGE))]


@pytest.mark.parametrize("version", ["1.3"], indirect=True)
@pytest.mark.parametrize("program", HTTP_CLIENTS)
def test_http_clients_do_not_believe_everybody(
    program: str, url: str, certificates: Certificates
) -> None:
    other = certificates.other_authority
    with launch("before", "", program, url, other) as process:
        assert process.wait(3 * TIMEOUT) == 1
        assert re.search(r"CERTIFICATE_VERIFY_FAILED.*local issuer", process.log.text)


@EACH_WAY
def test_a_server(how: str, both: Sides, certificates: Certificates) -> None:
    """http.server, whose listening socket is wrapped."""
    identity = certificates.server
    arguments = (how, "http.server,ssl", "https_server.py", identity.chain, identity.key)
    with launch(*arguments) as process:
        port = int(process.wait_for_data(rb"(\d+)\n")[1])
        client = http.client.HTTPSConnection(
            HOST, port, timeout=TIMEOUT, context=both.client_context()
        )
        client.request("GET", "/")
        module = client.getresponse().read().decode()
        assert module.partition(".")[0] == HOW[how]
        client.close()
        assert process.wait() == 0, process.log.text
