"""The state machines: whole messages in, whole messages and secrets out; no records, no I/O."""
