"""Whether a peer's certificate chain leads to a trust anchor, and is for whom it should be.

The library's verifier finds the path and decides. Its default policies follow the CA/Browser
Forum and refuse much of what private authorities issue, so its extension policies are replaced:
everything is permitted, and the checks that matter are put back one by one. What is checked:

- a path of at most `max_chain_depth` authorities to an anchor, each link's signature, and the
  validity of every certificate, the anchor's own too;
- basic constraints: an issuer is a CA, and the path below it no longer than it says;
- key usage, where there is one: keyCertSign of issuers, digitalSignature of leaves (RFC 8446,
  4.4.2.2: CertificateVerify is a signature);
- extended key usage, where there is one, of leaves and issuers: serverAuth or clientAuth, or any;
- keys of at least 2048 bits (RSA) or 224 (EC), Ed25519 or Ed448, and no digest weaker than SHA-2;
- that no critical extension is unknown; name constraints;
- the host's name in the subject alternative names, for servers.

A certificate that is itself trusted is a path of one, whoever signed it. Revocation is not checked.

The verdicts are those of the standard library's ssl, but for these. More is accepted:

- anyExtendedKeyUsage is taken for what it says, and Netscape's certificate type is not looked at;
- a signature decides between issuers of one name;
- key identifiers and authorities' information may be critical;
- for name constraints, a DNS name is the same with a dot at its end.

Less is accepted:

- a common name is no host name; a leaf's key usage must have digitalSignature;
- names of issuers and subjects are equal only as they are encoded;
- no DSA keys; an RSASSA-PSS key signs with SHA-256, 384 or 512;
- under name constraints: names of a kind that is constrained, but is neither DNS name nor address
  nor directory name; wildcards of which one name is excluded; common names with a NUL; constraints
  that are empty, or whose DNS names or networks are malformed; more comparisons than
  name_constraints.MAX_COMPARISONS;
- dates before 2050 as GeneralizedTime, serial numbers negative or longer than 20 bytes, and other
  fields that the library does not read.

When the library refuses, chain_examination.py finds out why, and has the say over the few kinds of
chains that the library cannot judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder

from fasths.crypto.chain_examination import ChainExamination, check_leaf_key, serves
from fasths.crypto.host_names import host_matches, normalize_hostname, parse_address
from fasths.crypto.trust import TrustStore
from fasths.crypto.verify_errors import UNSPECIFIED, Refusal
from fasths.wire.codes import AlertDescription
from fasths.wire.errors import CertificateError

__all__ = ["ChainVerifier", "normalize_hostname"]

# Names that the library compares as OpenSSL does. Others are compared here: it knows no
# underscores, and would let *.com cover example.com.
_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_LIBRARY_NAME = re.compile(rf"{_LABEL}(?:(?:\.{_LABEL}){{2,}})?")

_MAX_LIBRARY_DEPTH = 254

_PurposeCheck = Callable[[Policy, x509.Certificate, x509.ExtendedKeyUsage | None], None]


class ChainVerifier:
    """Verifies chains against one trust store. Made once, used by any number of threads."""

    def __init__(
        self, trust: TrustStore, *, check_hostname: bool = True, max_chain_depth: int = 10
    ) -> None:
        self._trust = trust
        self._check_hostname = check_hostname
        self._max_chain_depth = max_chain_depth
        self._for_servers = _Verification(trust, ExtendedKeyUsageOID.SERVER_AUTH, max_chain_depth)
        self._for_clients = _Verification(trust, ExtendedKeyUsageOID.CLIENT_AUTH, max_chain_depth)

    def verify_server(
        self, certificates: Sequence[x509.Certificate], hostname: str | None
    ) -> list[x509.Certificate]:
        """The path from a server's certificate, the first one, to an anchor.

        The others may come in any order, and not all need to be of use. `hostname`: what
        normalize_hostname() made of the name that is to be in the certificate; it must be given
        unless this verifier does not check names. CertificateError: refused.
        """
        if not self._check_hostname:
            hostname = None
        elif hostname is None:
            raise ValueError("a host name is needed to check the certificate against")
        return self._for_servers.verify(certificates, hostname)

    def verify_client(self, certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
        """The path from a client's certificate, the first one, to an anchor.

        CertificateError: refused.
        """
        return self._for_clients.verify(certificates, None)


class _Verification:
    """Everything of one purpose that does not change from chain to chain."""

    def __init__(
        self, trust: TrustStore, purpose: x509.ObjectIdentifier, max_chain_depth: int
    ) -> None:
        self._trust = trust
        self._purpose = purpose
        self._max_chain_depth = max_chain_depth
        self._builder: PolicyBuilder | None = None
        store = trust.library_store
        if store is None:
            return
        builder = PolicyBuilder().store(store)
        builder = builder.max_chain_depth(min(max_chain_depth, _MAX_LIBRARY_DEPTH))
        ca_policy = _issuer_policy(purpose)
        leaf_policy = _leaf_policy(purpose)
        self._builder = builder.extension_policies(ca_policy=ca_policy, ee_policy=leaf_policy)
        # The library wants to be sure of a name to check.
        self._builder_with_name = builder.extension_policies(
            ca_policy=ca_policy,
            ee_policy=leaf_policy.require_present(
                x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
            ),
        )

    def verify(
        self, certificates: Sequence[x509.Certificate], host: str | None
    ) -> list[x509.Certificate]:
        if not certificates:
            raise CertificateError("the peer sent no certificate")
        objection = ""
        try:
            path = self._ask_library(certificates, host)
            if path is not None:
                return path
        except Exception as error:
            # Besides its own, the library has many exceptions for fields that it cannot read.
            objection = str(error)
        return self._examine(certificates, host, objection)

    def _ask_library(
        self, certificates: Sequence[x509.Certificate], host: str | None
    ) -> list[x509.Certificate] | None:
        if self._builder is None:
            return None
        leaf, *others = certificates
        subject = None if host is None else _library_subject(host)
        if subject is not None:
            verifier = self._builder_with_name.build_server_verifier(subject)
            path = verifier.verify(leaf, others)
        else:
            # The purpose is in the policies: "client" only means that there is no name to check.
            verified = self._builder.build_client_verifier().verify(leaf, others)
            if host is not None and not host_matches(host, verified.subjects or ()):
                return None
            path = verified.chain
        check_leaf_key(leaf)
        return path

    def _examine(
        self, certificates: Sequence[x509.Certificate], host: str | None, objection: str
    ) -> list[x509.Certificate]:
        examination = ChainExamination(
            certificates,
            self._trust,
            purpose=self._purpose,
            host=host,
            max_chain_depth=self._max_chain_depth,
        )
        try:
            path = examination.examine()
            if examination.cannot_be_judged():
                return path
        except Refusal as refusal:
            raise refusal.as_error(host) from None
        except Exception as error:
            # What cannot be read to its end cannot be trusted, whatever the reason.
            objection = f"a certificate cannot be read: {error}"
        # What the library says may quote the peer's certificates.
        sentence = ascii(objection.partition(" (encountered processing")[0])[1:-1]
        raise Refusal(UNSPECIFIED, sentence, AlertDescription.bad_certificate).as_error()


@lru_cache(maxsize=1024)
def _library_subject(host: str) -> x509.DNSName | x509.IPAddress | None:
    """A host for the library to look for; None: it must be looked for here."""
    address = parse_address(host)
    if address is not None:
        return x509.IPAddress(address)
    return x509.DNSName(host) if _LIBRARY_NAME.fullmatch(host) else None


# The library calls these with each certificate of a path, and takes an exception for a no. Its own
# rules for name constraints know fewer kinds of names than those of name_constraints.py, which has
# the say where there are any.


def _leaf_policy(purpose: x509.ObjectIdentifier) -> ExtensionPolicy:
    def check_usage(policy: Policy, _: x509.Certificate, usage: x509.KeyUsage | None) -> None:
        if usage is not None and not usage.digital_signature:
            raise ValueError("the key usage lacks digitalSignature")

    return (
        ExtensionPolicy.permit_all()
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, check_usage)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _purpose_check(purpose))
        .require_not_present(x509.NameConstraints)
    )


def _issuer_policy(purpose: x509.ObjectIdentifier) -> ExtensionPolicy:
    def check_usage(policy: Policy, _: x509.Certificate, usage: x509.KeyUsage | None) -> None:
        if usage is not None and not usage.key_cert_sign:
            raise ValueError("the key usage lacks keyCertSign")

    return (
        ExtensionPolicy.permit_all()
        # Required by the library, which itself looks at what they say.
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, check_usage)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _purpose_check(purpose))
        .require_not_present(x509.NameConstraints)
    )


def _purpose_check(purpose: x509.ObjectIdentifier) -> _PurposeCheck:
    def check_purpose(
        policy: Policy, _: x509.Certificate, usages: x509.ExtendedKeyUsage | None
    ) -> None:
        if usages is not None and not serves(usages, purpose):
            raise ValueError("the extended key usage lacks the purpose")

    return check_purpose
