"""What is known of a revision, as it is kept."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given

from tests.unit.trainer_svc.evidence_sample import compared, sound
from tests.unit.trainer_svc.promotion_sample import evidences
from trainer_svc.domain.evidence import Evidence
from trainer_svc.domain.measure import Measure
from trainer_svc.store.codec import dump, load


class TestEvidence:
    """`Evidence`."""

    @given(evidences)
    def test_is_stored_as_it_is(self, evidence: Evidence) -> None:
        """To the last bit."""
        assert load(Evidence, dump(evidence)) == evidence

    @pytest.mark.parametrize("wrong", [math.nan, math.inf])
    def test_is_of_finite_numbers(self, wrong: float) -> None:
        """What no check could be held to is refused where it arises."""
        with pytest.raises(ValueError, match="kl_divergence"):
            sound(forgetting={"kl_divergence": wrong})
        with pytest.raises(ValueError, match="exact_match"):
            sound(measures={"exact_match": Measure(0.5, wrong, 1.0)})
        with pytest.raises(ValueError, match="against_chance"):
            sound(against_chance=(dataclasses.replace(compared(0.5), p_value=wrong),))
        with pytest.raises(ValueError, match="against_bare_base"):
            sound(against_bare_base=(dataclasses.replace(compared(0.5), difference=wrong),))

    def test_has_intervals_that_are_some(self) -> None:
        """The lower end comes first."""
        with pytest.raises(ValueError, match="memorised"):
            sound(memorised=compared(0.1, -0.1))
