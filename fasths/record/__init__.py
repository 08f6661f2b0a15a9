"""Records: one half-connection for each direction, and the framing of handshake messages."""
