"""The formats that are enforced, as patterns that `jsonschema`'s checkers agree with.

Every other `format` is an annotation, as Draft 2020-12 has it by default, and reported as such.
"""

from __future__ import annotations

from functools import cache

from shared.contracts.grammar.expression import Expression
from shared.contracts.grammar.pattern import parse_pattern

# Leap days: every fourth year, of the full centuries only every fourth (ISO 8601, Gregorian).
_FOURTH = "(?:0[48]|[2468][048]|[13579][26])"
_YEAR = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_DATE = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    f"|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{{2}}{_FOURTH}|{_FOURTH}00)-02-29)"
)
# RFC 3339 without leap seconds, which the checker refuses.
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"

PATTERNS = {
    "date": f"^{_DATE}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "time": f"^{_TIME}$",
    "uuid": "^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    # RFC 5322's dot-atom and a host name with at least two labels: the addresses that mail systems deliver to.
    "email": rf"^{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+$",
}


@cache
def format_expression(name: str) -> Expression:
    """The language of an enforced format."""
    return parse_pattern(PATTERNS[name])
