from cryptography.exceptions import InvalidTag as InvalidTag

from fasths.crypto.key_schedule import Hash

class Suite:
    code: int
    version: int
    hash: Hash
    key_length: int
    iv_length: int
    explicit_nonce_length: int
    authentication: int
    records_per_key: int

def find_suite(code: int) -> Suite: ...
