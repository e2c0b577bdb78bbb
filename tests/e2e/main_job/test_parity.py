"""What was evaluated is what is served."""

from __future__ import annotations

import pytest

from shared.client.evaluation import EvaluationClient
from tests.e2e.main_job.house import HOLDOUT, House

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


class TestStoredEvaluation:
    """Answers to held-out rows that a job of the live revision stored."""

    @pytest.mark.parametrize("tenant", ["acme", "globex"])
    def test_has_the_answers_that_are_served(self, house: House, tenant: str) -> None:
        """Greedily, with the defaults of a request: every row, since vLLM has answered both times."""
        name = house.ask(tenant, canary="never").summary.adapter_revision
        with EvaluationClient(str(house.trainer_process.ready["address"])) as client:
            rows = list(client.rows(house.trainer.revision(name).training_job))

        answers = [
            house.inference.generate(f"tenants/{tenant}/adapters/answer", row.input, canary="never") for row in rows
        ]

        assert {answer.summary.adapter_revision for answer in answers} == {name}
        assert len(rows) == HOLDOUT
        assert [answer.text for answer in answers] == [row.adapter.text for row in rows]
