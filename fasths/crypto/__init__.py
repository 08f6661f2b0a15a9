"""Everything cryptographic, by the `cryptography` package; no other folder imports it."""
