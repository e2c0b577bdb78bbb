"""How a request that names an alias chooses between its revision and its canary."""

from __future__ import annotations

import enum


class CanaryChoice(enum.StrEnum):
    """Values of the metadata `x-canary`, as at the canary annotations of the nginx ingress; absent: drawn."""

    ALWAYS = "always"
    """The canary, as long as there is one that serves."""
    NEVER = "never"
    """The alias's own revision."""
    DRAWN = "drawn"
    """By weight; only such requests are judged, since nobody chose who got which revision."""
