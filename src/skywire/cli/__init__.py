"""Commands, tables, JSON: what people type."""
