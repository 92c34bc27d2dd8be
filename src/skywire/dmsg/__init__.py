"""Streams between public keys, through a relay server."""
