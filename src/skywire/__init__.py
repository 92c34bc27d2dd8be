"""Skywire: a mesh network whose addresses are public keys."""

__version__ = "0.1.0"
