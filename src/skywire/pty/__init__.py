"""Shells on nodes: hosts, clients, sessions that outlive their viewers."""
