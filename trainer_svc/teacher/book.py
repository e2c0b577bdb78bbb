"""The teachers that the operator names, for those tenants that may ask them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from shared.names import absent
from trainer_svc.domain.teacher import TeacherKind
from trainer_svc.teacher.base import Teacher
from trainer_svc.teacher.patience import PatientTeacher
from trainer_svc.teacher.settings import TeacherEntry, load_teachers

_SHOWN_CHARS = 80


class TeacherBook:
    """Teachers by name. They connect when they are first asked."""

    def __init__(self, entries: Mapping[str, TeacherEntry], teachers: Mapping[str, Teacher]) -> None:
        self._entries, self._teachers = entries, teachers

    @classmethod
    def open(cls, path: Path | None) -> TeacherBook:
        """The teachers of the operator's file; without one there is none, and no row leaves the house.

        Raises `InvalidInput` naming every fault of the file.
        """
        return cls.of(load_teachers(path) if path is not None else {})

    @classmethod
    def of(cls, entries: Mapping[str, TeacherEntry]) -> TeacherBook:
        """The teachers of these entries, by name."""
        return cls(entries, {name: _teacher(entry) for name, entry in entries.items()})

    def find(self, name: str, tenant: str) -> Teacher:
        """A teacher.

        Raises:
            NotFound: there is none of that name, or it is not for the tenant, which must not be told apart.
        """
        entry = self._entries.get(name)
        if entry is None or not entry.is_for(tenant):
            raise absent(f"teacher {name[:_SHOWN_CHARS]!r}")
        return self._teachers[name]

    def price_per_answer(self, name: str) -> Fraction | None:
        """What the operator says that an answer of a teacher costs; None where nothing is said, or there is none."""
        entry = self._entries.get(name)
        return None if entry is None or entry.price_per_answer is None else Fraction(entry.price_per_answer)

    async def close(self) -> None:
        """Closes all connections."""
        await asyncio.gather(*(teacher.close() for teacher in self._teachers.values()))


def _teacher(entry: TeacherEntry) -> Teacher:
    return PatientTeacher(_plain(entry), attempts=entry.attempts)


def _plain(entry: TeacherEntry) -> Teacher:
    # Imported where it is needed, so that a service without teachers, and --help, do not wait for HTTP and gRPC.
    if entry.kind is TeacherKind.OPENAI:
        from trainer_svc.teacher.openai import OpenAiTeacher

        return OpenAiTeacher(entry)
    from trainer_svc.teacher.goldsmith import GoldsmithTeacher

    return GoldsmithTeacher(entry)
