"""Keys and primitives; the only place that imports a crypto library."""
