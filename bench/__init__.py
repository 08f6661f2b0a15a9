"""Measures fasths beside the standard library's ssl and pyOpenSSL: `python -m bench --help`.

Theory of operation. The parent process (`__main__`) makes one set of certificates, starts a
worker process per row and prints what comes back; it measures nothing itself. A worker
(`worker`) is a fresh interpreter whose OpenSSL libraries read a configuration that pins the same
suite and group for everyone (`job`). Inside a worker the stacks take turns, round by round, so
that a slow moment of the machine hits all of them; each round gives one figure per stack, and the
report shows the best and the median of them. `floor` is measured in the same turns: a handshake's
cryptographic primitives called in a row, and nothing else.
"""
