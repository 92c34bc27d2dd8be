"""HTTP over TCP and over any stream, one code path."""
