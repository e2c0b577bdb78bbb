"""The formats that are enforced, as patterns of what is generated and accepted for them.

Every other `format` is an annotation, as Draft 2020-12 has it by default, and reported as such.
"""

from __future__ import annotations

from functools import cache

from shared.contracts.grammar.expression import Expression
from shared.contracts.grammar.pattern import parse_whole_pattern

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


def _host(label: int, more: int) -> str:
    """Up to `more + 1` labels, none with hyphens in third and fourth place: those are reserved (RFC 5890)."""
    one, any_ = "[A-Za-z0-9]", "[A-Za-z0-9-]"
    rest = f"{one}|{any_}{one}|{any_}(?:{one}|-){one}|{any_}(?:{one}{any_}|-{one}){any_}{{0,{label - 5}}}{one}"
    name = f"{one}(?:{rest})?"
    return rf"{name}(?:\.{name}){{0,{more}}}"


# RFC 1123 allows labels of 63 characters and 253 in all: three long labels, or eight of up to 30, never exceed that.
_HOSTNAME = f"(?:{_host(63, 2)}|{_host(30, 7)})"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_GROUP = "[0-9A-Fa-f]{1,4}"


def _ipv6() -> str:
    """RFC 4291, 2.2: eight groups, or fewer with one `::`; the last two may be spelled as an IPv4 address."""
    last = f"(?:{_GROUP}:{_GROUP}|{_IPV4})"
    branches = [f"(?:{_GROUP}:){{6}}{last}"]
    for before in range(7):
        head = f"{_GROUP}(?::{_GROUP}){{0,{before - 1}}}" if before else ""
        head = f"(?:{head})?" if head else ""
        room = 7 - before
        # `head` has at most `before` groups, so the longest form leaves a gap of at least one group.
        tails = [f"(?:{_GROUP}:){{0,{room - 2}}}{last}" if room >= 2 else "", f"(?:{_GROUP})?"]
        branches.append(f"{head}::(?:{'|'.join(tail for tail in tails if tail)})")
    branches.append(f"(?:{_GROUP}:){{7}}:")
    return "(?:" + "|".join(branches) + ")"


_HEX = "%[0-9A-Fa-f]{2}"
_PCHAR = f"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|{_HEX})"
_TAIL = rf"(?:\?(?:{_PCHAR}|[/?])*)?(?:#(?:{_PCHAR}|[/?])*)?"
_REGISTERED = f"(?:[A-Za-z0-9._~!$&'()*+,;=-]|{_HEX})*"
_AUTHORITY = rf"(?:(?:[A-Za-z0-9._~!$&'()*+,;=:-]|{_HEX})*@)?(?:\[{_ipv6()}\]|{_REGISTERED})(?::[0-9]*)?"
_ROOTED = f"/(?:{_PCHAR}+(?:/{_PCHAR}*)*)?"
_URI = f"[A-Za-z][A-Za-z0-9+.-]*:(?://{_AUTHORITY}(?:/{_PCHAR}*)*|{_ROOTED}|{_PCHAR}+(?:/{_PCHAR}*)*|){_TAIL}"
# A first segment with a colon would be read as a scheme.
_SEGMENT = f"(?:[A-Za-z0-9._~!$&'()*+,;=@-]|{_HEX})+"
_RELATIVE = f"(?://{_AUTHORITY}(?:/{_PCHAR}*)*|{_ROOTED}|{_SEGMENT}(?:/{_PCHAR}*)*|){_TAIL}"
_POINTER = "(?:/(?:[^~/]|~[01])*)*"
_CLOCK = "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)"
_DAYS = "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"

PATTERNS = {
    "date": f"^{_DATE}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "time": f"^{_TIME}$",
    # RFC 3339, appendix A.
    "duration": f"^P(?:{_DAYS}(?:{_CLOCK})?|{_CLOCK}|[0-9]+W)$",
    "uuid": "^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    # RFC 5322's dot-atom and a host name with at least two labels: the addresses that mail systems deliver to.
    "email": rf"^{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+$",
    "hostname": f"^{_HOSTNAME}$",
    "ipv4": f"^{_IPV4}$",
    "ipv6": f"^{_ipv6()}$",
    # RFC 3986, appendix A.
    "uri": f"^{_URI}$",
    "uri-reference": f"^(?:{_URI}|{_RELATIVE})$",
    "json-pointer": f"^{_POINTER}$",
    "relative-json-pointer": f"^(?:0|[1-9][0-9]*)(?:#|{_POINTER})$",
}


@cache
def format_expression(name: str) -> Expression:
    """The language of an enforced format."""
    return parse_whole_pattern(PATTERNS[name], max_chars=None)
