"""A handshake by a key that both sides have from elsewhere: python examples/external_psk.py

No certificate is involved. The key is imported (RFC 9258), which binds it to TLS 1.3, to a hash and
to a context, so that one key of a device can serve several protocols.
"""

import os

from in_memory import connect

import fasths


def main() -> None:
    key = os.urandom(32)  # 128 bits of entropy or more; a password will not do
    context = b"meter 17 to collector"  # both sides say the same; the client sends it in the clear
    imported = fasths.ExternalPSK.import_key(b"meter-17", key, context=context)

    client = fasths.Context(external_psks=imported)
    server = fasths.Context(external_psks=imported)
    meter, collector = connect(client, server)
    print(f"by a key: {meter.session_reused}, {meter.cipher_suite!r}, {meter.group!r}")

    # Keys can also be looked up by the identity that a client names.
    keys = {psk.identity: psk for psk in imported}
    server = fasths.Context(psk_callback=lambda request: keys.get(request.identity))
    meter, collector = connect(client, server)
    print("found by a callback:", collector.session_reused)


if __name__ == "__main__":
    main()
