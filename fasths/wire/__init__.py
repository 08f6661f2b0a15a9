"""Bytes to whole, valid messages and back. Nothing here has state or knows a key."""
