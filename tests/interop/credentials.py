"""Throw-away certificates of every key type that TLS 1.3 knows, as files too."""

import functools
from pathlib import Path

import pki
from cryptography.x509 import ocsp
from pki import make_ca, make_leaf

from .peers import Credential


class Authority:
    """A root, an intermediate, and its leaves for localhost and 127.0.0.1, in a directory."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._root = make_ca(f"{name} root")
        self._intermediate = make_ca(f"{name} intermediate", issuer=self._root)
        self.pem = self._root.pem
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(self.pem)
        self.leaf = functools.cache(self._make_leaf)
        self._leaves: dict[str, pki.Credential] = {}

    def _make_leaf(self, key_type: str) -> Credential:
        leaf = self._leaves[key_type] = make_leaf(
            ["localhost", "127.0.0.1"], issuer=self._intermediate, key_type=key_type
        )
        stem = f"{self.file.stem}-{key_type}"
        files = [self._directory / f"{stem}{suffix}" for suffix in (".pem", ".above.pem", ".key")]
        contents = [leaf.chain_pem, self._intermediate.pem, leaf.key_pem]
        for file, content in zip(files, contents, strict=True):
            file.write_bytes(content)
        return Credential(leaf.chain_pem, leaf.key_pem, *files)

    def staple(self, key_type: str, status: ocsp.OCSPCertStatus = pki.GOOD) -> Path:
        """A file with an OCSP response about that leaf."""
        self.leaf(key_type)
        file = self._directory / f"{self.file.stem}-{key_type}-{status.name}.ocsp"
        file.write_bytes(pki.ocsp_response(self._leaves[key_type], status=status))
        return file
