"""Client of blind comparisons of two revisions by people."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

from goldsmith.trainer.v1 import preference_pb2, preference_service_pb2, preference_service_pb2_grpc
from shared.client.base import PAGE_SIZE, ServiceClient, pages
from shared.client.channel import call
from shared.client.credentials import Credentials
from shared.names import PreferenceStudyName

_TIMEOUT_SECONDS = 30.0


class PreferenceClient(ServiceClient):
    """Calls one trainer service; safe to share between threads. Every method raises `DomainError` subclasses."""

    def __init__(self, address: str, credentials: Credentials | None = None) -> None:
        super().__init__(address, credentials)
        self._studies = preference_service_pb2_grpc.PreferenceServiceStub(self._channel)

    def create(
        self, name: str, revision_a: str, revision_b: str, *, max_pairs: int = 0, seed: int = 0
    ) -> preference_pb2.PreferenceStudy:
        """A new study of what both revisions answered; 0 pairs means the server's default."""
        own = PreferenceStudyName.parse(name)
        study = preference_pb2.PreferenceStudy(
            revision_a=revision_a, revision_b=revision_b, max_pairs=max_pairs, seed=seed
        )
        request = preference_service_pb2.CreatePreferenceStudyRequest(
            parent=str(own.adapter_name), study_id=own.id, study=study, request_id=str(uuid.uuid4())
        )
        return call(self._studies.CreatePreferenceStudy, request, _TIMEOUT_SECONDS)

    def study(self, name: str) -> preference_pb2.PreferenceStudy:
        """A study, with its result once it is closed."""
        request = preference_service_pb2.GetPreferenceStudyRequest(name=name)
        return call(self._studies.GetPreferenceStudy, request, _TIMEOUT_SECONDS)

    def studies(self, adapter: str) -> Iterator[preference_pb2.PreferenceStudy]:
        """Every study of `tenants/{tenant}/adapters/{adapter}`, by id."""
        for page in pages(
            self._studies.ListPreferenceStudies,
            lambda token: preference_service_pb2.ListPreferenceStudiesRequest(
                parent=adapter, page_size=PAGE_SIZE, page_token=token
            ),
        ):
            yield from page.studies

    def pairs(self, study: str) -> Iterator[preference_pb2.PreferencePair]:
        """What reviewers see; pages are fetched as they are needed."""
        for page in pages(
            self._studies.ListPreferencePairs,
            lambda token: preference_service_pb2.ListPreferencePairsRequest(
                parent=study, page_size=PAGE_SIZE, page_token=token
            ),
        ):
            yield from page.pairs

    def submit(
        self, study: str, reviewer: str, verdicts: Sequence[preference_pb2.PreferenceVerdict]
    ) -> preference_pb2.PreferenceStudy:
        """Stores a reviewer's verdicts, in place of earlier ones on the same pairs."""
        request = preference_service_pb2.SubmitPreferenceVerdictsRequest(
            name=study, reviewer=reviewer, verdicts=verdicts
        )
        return call(self._studies.SubmitPreferenceVerdicts, request, _TIMEOUT_SECONDS)

    def close_study(self, study: str) -> preference_pb2.PreferenceStudy:
        """Ends a study, and tells what came out."""
        request = preference_service_pb2.ClosePreferenceStudyRequest(name=study)
        return call(self._studies.ClosePreferenceStudy, request, _TIMEOUT_SECONDS)
