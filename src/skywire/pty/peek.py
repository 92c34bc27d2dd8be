"""The last lines a terminal printed, as plain text: for lists of sessions. Ours.

It is no terminal emulator: what moves the cursor begins a new line, what clears the screen forgets
what was before, and everything else that is no text is left out.
"""

import re

PEEK_SIZE = 16 * 1024  # bytes of output that are looked at
MAX_LINE = 240  # bytes of one line
MAX_LINES = 200

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*(?P<final>[@-~])"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]"
)
_CLEARED = re.compile(r"\x1bc|\x1b\[[23]J|\x1b\[\?1049[hl]")
_MOVES = "Hfd"  # the final letters of sequences that put the cursor elsewhere


def last_lines(output: bytes, count: int, *, cut: bool = False) -> list[str]:
    """At most `count` lines, the newest last; blank ones at either end are left out.

    `cut`: there was output before, so that the first line is only the end of one.
    """
    text = output.decode(errors="replace")
    if cut:
        text = text.partition("\n")[2] or text
    text = text[max((found.end() for found in _CLEARED.finditer(text)), default=0) :]
    text = _SEQUENCE.sub(lambda one: "\n" if (one["final"] or " ") in _MOVES else "", text)
    lines = [_shown(line) for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    lines = lines[-count:] if count > 0 else []
    while lines and not lines[0]:
        del lines[0]
    return lines


def _shown(line: str) -> str:
    """What is left when carriage returns and backspaces have done their work."""
    parts = [part for part in line.split("\r") if part]
    shown: list[str] = []
    for char in parts[-1] if parts else "":
        if char == "\b":
            del shown[-1:]
        elif char == "\t":
            shown.append(" " * (8 - len(shown) % 8))
        elif char.isprintable():
            shown.append(char)
    return "".join(shown).rstrip().encode()[:MAX_LINE].decode(errors="ignore")
