"""Shells of visors start as on a machine without settings, whatever those of this one are."""

import pytest


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Files that a shell reads at its start are slow, or wait for each other's locks."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.getbasetemp()))
