"""The stages of a load, as metrics and spans name them."""

from __future__ import annotations

from inference_svc.domain.residency import ResidentState

STAGES = {
    ResidentState.FETCHING: "fetch",
    ResidentState.VERIFYING: "verify",
    ResidentState.LOADING: "load",
    ResidentState.PROVING: "prove",
}
"""Stage that a revision is in, by its state."""
