"""The answers that prove an adapter at every load."""

from __future__ import annotations

from shared.adapter.manifest import Canary
from trainer_svc.domain.canary import CANARY_COUNT, Candidate, choose_canaries


def _candidate(place: int, *, adapter: float = 1.0, margin: float = 1.0, base: float = 0.0) -> Candidate:
    return Candidate(Canary((place,), (place, 1)), adapter, margin, base)


class TestChooseCanaries:
    """Which of the held-out answers are taken."""

    def test_firm_answers_come_first(self) -> None:
        """The larger the least margin, the less can another kernel turn an answer."""
        chosen = choose_canaries([_candidate(1, margin=0.1), _candidate(2, margin=3.0), _candidate(3, margin=1.0)], 2)

        assert [canary.prompt_ids for canary in chosen] == [(2,), (3,)]

    def test_what_the_base_answers_too_comes_late(self) -> None:
        """An answer that the base model gives without the adapter proves nothing, however firm it is."""
        chosen = choose_canaries([_candidate(1, margin=9.0, base=0.9), _candidate(2, margin=0.1, base=0.2)], 1)

        assert chosen[0].prompt_ids == (2,)

    def test_what_the_adapter_does_not_replay_comes_last(self) -> None:
        """An answer that already differs in the trainer's own second pass is a tie."""
        chosen = choose_canaries([_candidate(1, adapter=0.4, margin=9.0), _candidate(2, base=0.9)], 1)

        assert chosen[0].prompt_ids == (2,)

    def test_a_few_are_enough_and_fewer_are_taken_as_they_are(self) -> None:
        """At most the default count; all of a smaller set."""
        many = [_candidate(place) for place in range(40)]

        assert len(choose_canaries(many)) == CANARY_COUNT
        assert len(choose_canaries(many[:2])) == 2
        assert choose_canaries([]) == ()

    def test_the_order_of_the_candidates_does_not_matter(self) -> None:
        """Same candidates, same canaries: the manifest's digest depends on them."""
        many = [_candidate(place, margin=place % 3) for place in range(20)]

        assert choose_canaries(many) == choose_canaries(many[::-1])
