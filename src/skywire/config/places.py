"""Where config files are when nobody says. Source: config.md §1."""

from pathlib import Path

CONFIG_NAME = "skywire-config.json"  # in the current or the home directory
PACKAGE_CONFIG = Path("/opt/skywire/skywire.json")


def user_config() -> Path:
    return Path.home() / CONFIG_NAME
