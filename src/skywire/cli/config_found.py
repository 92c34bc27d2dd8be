"""The config file of the visor on this machine, where nobody says which. Source: config.md §1."""

from pathlib import Path

from skywire.config.load import ConfigFile
from skywire.config.places import CONFIG_NAME, PACKAGE_CONFIG, user_config

CONFIG_HELP = (
    f"Config file. Default: {CONFIG_NAME} here or in the home directory, or that of the package."
)


def place_of_config(named: Path | None = None) -> Path | None:
    """None when there is none. One that is named need not be there."""
    if named is not None:
        return named
    places = (Path(CONFIG_NAME), user_config(), PACKAGE_CONFIG)
    return next((place for place in places if place.is_file()), None)


def found_config(named: Path | None = None) -> ConfigFile | None:
    """None when there is none. Raises InvalidValue for one that cannot be used."""
    place = place_of_config(named)
    return None if place is None else ConfigFile.load(place)
