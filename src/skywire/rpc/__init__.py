"""Go's net/rpc over any stream."""
