"""Routes: many hops, one stream."""
