"""The templates of a card: `{{name}}` and nothing else."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import TypeAlias

__all__ = ["NEARLY", "Value", "fill", "places"]

Value: TypeAlias = str | int | float
"""What may stand in a template's place."""

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_NEVER = "".join(rf"|(?P<{group}>(?!))" for group in ("named", "escaped", "invalid"))


class _Template(string.Template):
    """`{{name}}` and nothing else; `$` and single braces are plain text."""

    # string.Template compiles this when the class is made; it wants all four groups, even those that never match.
    pattern = rf"\{{\{{(?P<braced>{_NAME})\}}\}}{_NEVER}"  # type: ignore[assignment]
    flags = re.NOFLAG  # the parent ignores case, which lets letters such as the Kelvin sign in


NEARLY = re.compile(rf"\{{\{{(?!{_NAME}\}}\}})\s*[A-Za-z_][^{{}}]*\}}\}}")
"""What was meant as a place and is none: {{ x }}, {{x.y}}, {{x|upper}}."""


def places(text: str) -> list[str]:
    """Return the names of a template's places, each once."""
    return _Template(text).get_identifiers()


def fill(text: str, values: Mapping[str, Value | None]) -> str:
    """Return the template with its places filled.

    Raises:
        KeyError: a place has no value.
    """
    # A Mapping keeps "self" or "mapping" usable as names; None would otherwise be printed as a word.
    return _Template(text).substitute({name: value for name, value in values.items() if value is not None})
