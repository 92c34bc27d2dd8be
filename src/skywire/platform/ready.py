"""A service tells whoever started it that it answers now, and where.

The starter opens a pipe and names its writing end in the environment variable `SKYWIRE_READY_FD`.
The service writes one line, a JSON object, and closes the pipe. An end of file without a line means
that the service did not come up.
"""

import json
import os

from skywire.errors import InvalidValue

VARIABLE = "SKYWIRE_READY_FD"


def report(**facts: object) -> None:
    """Say that the service answers; `facts` are its addresses and keys, never secrets.

    Does nothing when nobody asked. Raises InvalidValue when the variable names no open descriptor.
    """
    descriptor = os.environ.pop(VARIABLE, "")  # not for the children
    if not descriptor:
        return
    try:
        with open(int(descriptor), "w", encoding="utf-8") as pipe:
            pipe.write(json.dumps(facts, default=str) + "\n")
    except (ValueError, OSError) as error:
        raise InvalidValue(
            f'{VARIABLE}="{descriptor}": expected the number of a descriptor open for writing'
        ) from error
