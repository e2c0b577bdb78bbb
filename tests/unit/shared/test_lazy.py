"""Attributes that are computed at their first use."""

from __future__ import annotations

import threading

from shared.lazy import cached_property


class Part:
    """Something whose value needs that of a part of another kind; those with a part meet before they go on to it."""

    def __init__(self, meeting: threading.Barrier, inner: Part | None = None) -> None:
        self.meeting, self.inner, self.computed = meeting, inner, 0

    def compute(self) -> int:
        """One more than the part."""
        self.computed += 1
        if self.inner is None:
            return 1
        self.meeting.wait(10)
        return 1 + self.inner.depth

    @cached_property
    def depth(self) -> int:
        """How many parts there are below, this one included."""
        return self.compute()


class Left(Part):
    """One kind."""

    @cached_property
    def depth(self) -> int:
        """As above, with a lock of its own if there were any."""
        return self.compute()


class Right(Part):
    """The other kind."""

    @cached_property
    def depth(self) -> int:
        """As above."""
        return self.compute()


class TestCachedProperty:
    """A property that keeps its value."""

    def test_is_computed_once(self) -> None:
        """And kept with the object, whatever the class says later."""
        part = Part(threading.Barrier(1))

        assert [part.depth, part.depth] == [1, 1]
        assert part.computed == 1
        assert isinstance(Part.__dict__["depth"], cached_property)
        assert Part.depth is Part.__dict__["depth"]

    def test_of_two_kinds_in_each_other_stops_no_thread(self) -> None:
        """One thread computes a left with a right in it, another one a right with a left in it, at the same time."""
        meeting = threading.Barrier(2)
        parts = [Left(meeting, Right(meeting)), Right(meeting, Left(meeting))]
        threads = [threading.Thread(target=lambda part=part: part.depth, daemon=True) for part in parts]

        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        assert not any(thread.is_alive() for thread in threads)
        assert [part.depth for part in parts] == [2, 2]

    def test_gives_all_threads_the_same_object(self) -> None:
        """Those that come together may each compute it; the first one that is kept is everybody's."""
        meeting, found = threading.Barrier(2), []

        class Owner:
            @cached_property
            def thing(self) -> object:
                meeting.wait(10)
                return object()

        owner = Owner()
        threads = [threading.Thread(target=lambda: found.append(owner.thing)) for _ in "12"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        assert len(found) == 2
        assert found[0] is found[1]
