"""A node: plugs everything together and says what it can do."""
