"""The operating system: processes, pseudo-terminals, readiness."""
