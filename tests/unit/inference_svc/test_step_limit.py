"""Steps of the engine that never end."""

from __future__ import annotations

import threading
import time

from inference_svc.engine.step_limit import StepLimit


class TestStepLimit:
    """How long one step may take."""

    def test_tells_of_a_step_that_does_not_end(self) -> None:
        """While it still runs: nobody else would."""
        late = threading.Event()

        with StepLimit(0.2, late.set):
            assert late.wait(30)

    def test_leaves_alone_what_ends_in_time(self) -> None:
        """However many steps there are, and however long nothing runs between them."""
        late = threading.Event()
        limit = StepLimit(2.0, late.set)

        for _ in range(30):
            with limit:
                time.sleep(0.1)
        time.sleep(2.5)

        assert not late.is_set()
