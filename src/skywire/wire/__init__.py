"""Bytes and their meaning: no I/O, no clock, no logging, no randomness."""
