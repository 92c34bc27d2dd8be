"""The network's directories."""
