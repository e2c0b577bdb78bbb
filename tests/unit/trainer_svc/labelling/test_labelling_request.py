"""Datasets with a teacher: what may be asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.errors import InvalidInput, NotFound, StateConflict
from tests.unit.trainer_svc.labelling.house import CONTRACT, SETTINGS, FakeTeacher, FakeTeachers, House
from trainer_svc.domain.dataset import Dataset, DatasetState
from trainer_svc.domain.teacher import TeacherSettings
from trainer_svc.store import catalog


class TestCreate:
    """What may be asked for."""

    def test_only_a_teacher_for_the_tenant(self, house: House) -> None:
        """One of another tenant is like none."""

        async def act() -> None:
            with pytest.raises(NotFound, match="teacher 'other' does not exist"):
                await house.seal(settings=TeacherSettings("other"))

        house.run(FakeTeacher(), act)

    def test_only_examples_that_there_are(self, house: House) -> None:
        """Active, of the same tenant, under the same contract."""

        async def act() -> None:
            await house.seal_and_wait(id_="shown")
            other = replace(await house.checked("shown"), name="tenants/acme/datasets/o", contract=f"{CONTRACT}2")
            failed = replace(other, name="tenants/acme/datasets/f", state=DatasetState.FAILED)
            await house.database.run(lambda c: (catalog.add_dataset(c, other), catalog.add_dataset(c, failed)))
            for examples, error in (
                ("tenants/acme/datasets/none", NotFound),
                ("tenants/globex/datasets/d", InvalidInput),
                ("nonsense", InvalidInput),
                (other.name, InvalidInput),
                (failed.name, StateConflict),
            ):
                with pytest.raises(error):
                    await house.seal(settings=replace(SETTINGS, examples=examples), id_="d")

        house.run(FakeTeacher(), act)

    @pytest.mark.parametrize(
        "changes",
        [{"sample_count": 9}, {"sample_count": -1}, {"min_agreement": 1.1}, {"min_agreement": float("nan")},
         {"min_agreement": -0.5}, {"example_count": 33}, {"seed": -1}, {"seed": (1 << 63) - 1}],
    )  # fmt: skip
    def test_only_settings_in_their_ranges(self, changes: dict[str, Any]) -> None:
        """Each is named."""
        with pytest.raises(InvalidInput, match=f"dataset.teacher.{next(iter(changes))}"):
            replace(SETTINGS, **changes)

    def test_a_request_is_another_with_another_teacher(self, house: House) -> None:
        """A request id stands for all that was asked."""

        async def act() -> None:
            new = Dataset("tenants/acme/datasets/d", CONTRACT, "", "", house.clock.now(), teacher=SETTINGS)
            await house.datasets.create(new, "once")
            await house.datasets.create(new, "once")
            with pytest.raises(InvalidInput, match="was used with another request"):
                await house.datasets.create(replace(new, teacher=replace(SETTINGS, seed=1)), "once")

        house.run(FakeTeacher(), act)

    def test_a_repeated_request_outlives_its_teacher(self, house: House) -> None:
        """It is answered with what it made, whatever the operator took away since."""

        async def act() -> tuple[Dataset, Dataset]:
            new = Dataset("tenants/acme/datasets/d", CONTRACT, "", "", house.clock.now(), teacher=SETTINGS)
            first = await house.datasets.create(new, "once")
            house.labeller._teachers = FakeTeachers(FakeTeacher(), tenants=())
            return first, await house.datasets.create(new, "once")

        first, second = house.run(FakeTeacher(), act)

        assert first == second
