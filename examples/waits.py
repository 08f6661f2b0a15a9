"""Questions to the application that are answered later: python examples/waits.py

A server whose key is in a device with an API of its own, and which loads the settings of a site
when somebody first asks for it. Neither keeps the thread that serves the connections waiting.
Explained in docs/requests.md.
"""

import queue
import time
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from in_memory import pair
from throwaway import Authority, Certificates

import fasths

CA = Authority()
DELAY = 0.05  # seconds that the device and the disk take


class Device:
    """Stands for an HSM or a KMS: it keeps the key, and takes its time."""

    def __init__(self, key_pem: bytes) -> None:
        key = load_pem_private_key(key_pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        self._workers = ThreadPoolExecutor(2)

    def signer(self, request: fasths.SignatureRequest) -> object:
        """What Identity.from_signer() wants; called in the middle of a handshake."""
        self._workers.submit(self._sign, request)
        return fasths.LATER

    def _sign(self, request: fasths.SignatureRequest) -> None:
        time.sleep(DELAY)
        try:
            assert request.scheme == fasths.SignatureScheme.ecdsa_secp256r1_sha256
            request.answer(self._key.sign(request.content, ec.ECDSA(hashes.SHA256())))
        except Exception as error:
            request.fail(error)


class Sites:
    """A Context for each site, made when it is first asked for."""

    def __init__(self, certificates: dict[str, Certificates]) -> None:
        self._certificates = certificates
        self._contexts: dict[str, fasths.Context] = {}
        self._workers = ThreadPoolExecutor(2)

    def choose(self, request: fasths.ClientHelloRequest) -> object:
        """The client_hello_callback."""
        name = request.client_hello.server_name
        if name in self._contexts:
            return self._contexts[name]  # at once
        self._workers.submit(self._load, request, name)
        return fasths.LATER

    def _load(self, request: fasths.ClientHelloRequest, name: str | None) -> None:
        time.sleep(DELAY)
        pem = self._certificates.get(name or "")
        if name is None or pem is None:
            unknown = fasths.AlertDescription.unrecognized_name
            request.fail(fasths.TLSError(f"there is no site {name}", alert=unknown))
            return
        identity = fasths.Identity.from_signer(pem.chain, Device(pem.key).signer)
        self._contexts[name] = fasths.Context(identities=[identity])
        request.answer(self._contexts[name])


def serve(connection: fasths.Connection, ready: "queue.SimpleQueue[fasths.Connection]") -> str:
    """Go on with a handshake, and say what it waits for now."""
    code = connection.get_error(connection.do_handshake())
    if (request := connection.request) is not None:
        # Called in the thread that answers; a loop would be woken up here.
        request.add_done_callback(lambda _: ready.put(connection))
    return code.name


def main() -> None:
    names = ("shop.example", "blog.example")
    sites = Sites({name: CA.issue(name) for name in names})
    server = fasths.Context(client_hello_callback=sites.choose)
    client = fasths.Context(trust=fasths.TrustStore.from_pem(CA.pem))
    for name in ("shop.example", "shop.example", "other.example"):
        ready: queue.SimpleQueue[fasths.Connection] = queue.SimpleQueue()
        asking, serving = pair(client, server, name)
        waits = []
        asking.do_handshake()
        while (code := serve(serving, ready)).startswith(("WANT_CLIENT_HELLO", "WANT_ASYNC")):
            waits.append(code)
            ready.get(timeout=10)  # here other connections would be served meanwhile
        asking.do_handshake()
        serving.do_handshake()
        print(f"{name}: waited for {', '.join(waits)}; {asking.last_error or 'established'}")


if __name__ == "__main__":
    main()
