"""The configuration file: Go's keys, read tolerantly, rewritten without loss."""
