from collections.abc import Callable, Iterable

from fasths.crypto.identity import Identity
from fasths.crypto.verification import ChainVerifier
from fasths.wire.limits import Limits

class Configuration:
    def __init__(
        self,
        *,
        cipher_suites: Iterable[int],
        groups: Iterable[int],
        key_share_groups: Iterable[int],
        signature_schemes: Iterable[int],
        certificate_signature_schemes: Iterable[int],
        certificate_only_schemes: Iterable[int],
        protocol_names: Iterable[bytes],
        identities: Iterable[Identity],
        chain_verifier: Callable[[], ChainVerifier],
        client_verify: int,
        server_verify: int,
        retry_with_cookie: bool,
        keylog: Callable[[str], None] | None,
        limits: Limits,
    ) -> None: ...
