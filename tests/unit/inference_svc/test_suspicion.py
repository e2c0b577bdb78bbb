"""Who is suspected of a crash, for how long, and what clears him; apart from any engine."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inference_svc.domain.suspicion import BAR_SECONDS, MAX_CRASHES, MAX_HINTS, MEMORY_SECONDS, Suspicion, Work


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class TestEvidence:
    """What crashes say."""

    def test_one_request_that_explains_every_crash_is_barred_and_not_its_adapter(self) -> None:
        """Others of the same adapter may still come; when it dies of them too, it is the adapter."""
        suspicion = Suspicion()
        for others in (("b", "c"), (), ()):
            suspicion.crashed([Work("adapter", "a"), *(Work("adapter", other) for other in others)])
        verdicts = [suspicion.barred(Work("adapter", request)) for request in ("a", "b")]
        suspicion.crashed([Work("adapter", "b")])

        assert verdicts == ["request", None]
        assert suspicion.barred(Work("adapter", "d")) == "adapter"

    def test_an_adapter_that_kills_while_it_is_loaded_is_barred(self) -> None:
        """No request is there then."""
        suspicion = Suspicion()
        for _ in range(MAX_CRASHES):
            suspicion.crashed([Work("adapter", "")])

        assert suspicion.barred(Work("adapter", "")) == "adapter"
        assert suspicion.barred(Work("other", "")) is None

    def test_a_load_that_succeeds_clears_the_adapter_of_crashes_during_loads(self) -> None:
        """However often others kill the engine while it is being loaded, as the first to come back each time."""
        suspicion = Suspicion()
        for _ in range(2 * MAX_CRASHES):
            suspicion.crashed([Work("adapter", ""), Work("", "deadly")])
            suspicion.loaded("adapter")

        assert suspicion.barred(Work("adapter", "a")) is None
        assert suspicion.barred(Work("", "deadly")) == "request"

    def test_a_crash_during_a_load_does_not_outweigh_a_deadly_request(self) -> None:
        """No request was there then, so it says nothing against the one that explains all others."""
        suspicion = Suspicion()
        for request in ("", "deadly", "deadly"):
            suspicion.crashed([Work("adapter", request)])

        assert suspicion.barred(Work("adapter", "a")) is None

    def test_an_answer_clears_what_it_came_from(self) -> None:
        """Request and adapter; a base model's request has no adapter to clear or to bar."""
        suspicion = Suspicion()
        for _ in range(5 * MAX_CRASHES):
            suspicion.crashed([Work("adapter", "a"), Work("", "base")])
            assert suspicion.is_suspect(Work("adapter", "other"))
            assert not suspicion.is_suspect(Work("", "other"))
            suspicion.answered(Work("adapter", "a"))
            suspicion.answered(Work("", "base"))

        assert not suspicion.is_suspect(Work("adapter", "a"))
        assert not suspicion.is_suspect(Work("", "base"))


class TestInnocence:
    """Who was only there."""

    def test_a_request_beside_ever_new_killers_is_not_barred(self) -> None:
        """Nothing tells it from the killers, so it takes more crashes than for what is proved."""
        suspicion = Suspicion()
        for number in range(MAX_HINTS - 1):
            suspicion.crashed([Work("", "innocent"), Work("", f"killer-{number}")])
        spared = suspicion.barred(Work("", "innocent"))
        suspicion.crashed([Work("", "innocent"), Work("", "killer")])

        assert spared is None
        assert MAX_HINTS > MAX_CRASHES
        assert suspicion.barred(Work("", "innocent")) == "request"

    def test_a_crash_is_proof_when_all_others_are_cleared(self) -> None:
        """Whoever is left was there without anyone else who could have done it."""
        suspicion = Suspicion()
        for number in range(MAX_CRASHES):
            suspicion.crashed([Work("", "deadly"), Work("", f"other-{number}"), Work("adapter", f"third-{number}")])
        before = suspicion.barred(Work("", "deadly"))
        for number in range(MAX_CRASHES):
            suspicion.answered(Work("", f"other-{number}"))
            suspicion.answered(Work("adapter", f"third-{number}"))

        assert before is None
        assert suspicion.barred(Work("", "deadly")) == "request"

    def test_an_adapter_beside_killers_of_another_one_is_not_barred(self) -> None:
        """Its own requests differ each time, as those of a busy adapter do."""
        suspicion = Suspicion()
        for number in range(MAX_HINTS - 1):
            suspicion.crashed([Work("busy", f"request-{number}"), Work("deadly", f"other-{number}")])
        suspicion.answered(Work("busy", "request-0"))

        assert suspicion.barred(Work("busy", "new")) is None
        assert suspicion.barred(Work("deadly", "new")) is None
        for number in range(MAX_HINTS - 1):
            suspicion.answered(Work("busy", f"request-{number}"))
        assert suspicion.barred(Work("deadly", "new")) == "adapter"


class TestTime:
    """How long a suspicion lasts."""

    def test_a_bar_ends_an_hour_after_the_last_crash(self) -> None:
        """It says how long it still lasts; then the request may come, one at a time."""
        clock = Clock()
        suspicion, deadly = Suspicion(clock), Work("", "deadly")
        for _ in range(MAX_CRASHES):
            suspicion.crashed([deadly])
        clock.now = BAR_SECONDS - 1
        last = suspicion.barred(deadly), suspicion.barred_seconds(deadly)
        clock.now = BAR_SECONDS

        assert last == ("request", 1)
        assert (suspicion.barred(deadly), suspicion.barred_seconds(deadly)) == (None, 0)
        assert suspicion.is_suspect(deadly)

    def test_one_crash_more_bars_again_and_an_answer_clears(self) -> None:
        """What happened before counts for as long as nothing speaks for it."""
        clock = Clock()
        suspicion, works = Suspicion(clock), [Work("", "deadly"), Work("", "mended")]
        for _ in range(MAX_CRASHES):
            suspicion.crashed(works[:1])
            suspicion.crashed(works[1:])
        clock.now = BAR_SECONDS
        suspicion.crashed(works[:1])
        suspicion.answered(works[1])

        assert [suspicion.barred(work) for work in works] == ["request", None]
        assert [suspicion.is_suspect(work) for work in works] == [True, False]

    def test_a_bar_is_not_cleared_by_an_answer(self) -> None:
        """A copy that began before the bar may end well."""
        suspicion, deadly = Suspicion(), Work("", "deadly")
        for _ in range(MAX_CRASHES):
            suspicion.crashed([deadly])
        suspicion.answered(deadly)

        assert suspicion.barred(deadly) == "request"

    def test_a_crash_is_forgotten_after_a_day(self) -> None:
        """Whoever never came back is no suspect any more."""
        clock = Clock()
        suspicion = Suspicion(clock)
        suspicion.crashed([Work("a", "gone")])
        clock.now = MEMORY_SECONDS - 1
        before = suspicion.is_suspect(Work("a", "gone"))
        clock.now = MEMORY_SECONDS

        assert (before, suspicion.is_suspect(Work("a", "gone"))) == (True, False)
        assert not suspicion._crashes

    def test_memory_is_bounded(self) -> None:
        """However often the engine dies."""
        suspicion = Suspicion(Clock())
        for number in range(1000):
            suspicion.crashed([Work("", str(number))])

        assert len(suspicion._crashes) < 100


_WORKS = st.builds(Work, st.sampled_from(["", "a", "b"]), st.sampled_from(["x", "y", "z"]))


class TestAlways:
    """Whatever happens."""

    @given(st.lists(st.lists(_WORKS, max_size=4) | _WORKS, max_size=30), st.lists(_WORKS, min_size=1))
    def test_what_was_there_at_fewer_crashes_is_never_barred(
        self, history: list[list[Work] | Work], asked: list[Work]
    ) -> None:
        """A list is a crash, a work alone an answer; a bar needs `MAX_CRASHES` crashes of the same thing."""
        suspicion = Suspicion(Clock())
        for event in history:
            if isinstance(event, Work):
                suspicion.answered(event)
            else:
                suspicion.crashed(event)
        crashes = [event for event in history if isinstance(event, list)]

        for work in asked:
            seconds, kind = suspicion.barred_seconds(work), suspicion.barred(work)
            assert (seconds > 0) == (kind is not None)
            requests = sum(any(there.request == work.request for there in crash) for crash in crashes)
            adapters = sum(any(there.adapter == work.adapter for there in crash) for crash in crashes)
            assert kind != "request" or requests >= MAX_CRASHES
            assert kind != "adapter" or (adapters >= MAX_CRASHES and work.adapter)
