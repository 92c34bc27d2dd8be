"""Fakes and harnesses for our tests and for authors of apps; shipped."""
