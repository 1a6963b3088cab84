"""Text from somebody else as a person can judge it: nothing in it is invisible, and nothing turns it around.

For what is shown before a decision: a command that shall be run, a tool that shall be trusted.

Source: Unicode 16, chapter 23; "Trojan Source" (CVE-2021-42574) for what bidirectional controls can do.
"""

from __future__ import annotations

import unicodedata

# Controls, formats (bidirectional ones too), halves of pairs, private and unassigned characters, line and
# paragraph separators.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters and marks by their class, but with nothing to see: joiners, fillers, an empty Braille cell.
BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


def made_visible(text: str, *, keeps_lines: bool = False) -> str:
    """`text` with ‹U+202E› in place of each character that would not be seen as it is. `keeps_lines` leaves
    line breaks and tabs as they are."""
    if text.isascii() and text.isprintable():
        return text
    kept = "\n\t" if keeps_lines else ""
    return "".join(character if character in kept else _shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    category = unicodedata.category(character)
    is_odd_space = category == "Zs" and character != " "
    if (
        category in HIDDEN
        or is_odd_space
        or character in BLANK
        or any(code in selectors for selectors in SELECTORS)
    ):
        return f"‹U+{code:04X}›"
    return character
