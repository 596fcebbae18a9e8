"""Talking to a device: the bytes (protocol) and the procedure (session)."""
