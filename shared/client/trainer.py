"""Client of the trainer: contracts, golden datasets, training jobs, revisions and aliases."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator, Sequence

from goldsmith.contract.v1 import contract_pb2, contract_service_pb2, contract_service_pb2_grpc
from goldsmith.registry.v1 import adapter_pb2, registry_service_pb2, registry_service_pb2_grpc
from goldsmith.trainer.v1 import (
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    example_preview_pb2,
    golden_dataset_pb2,
    training_estimate_pb2,
    training_job_pb2,
    training_service_pb2,
    training_service_pb2_grpc,
)
from shared.adapter.canary import CanarySplit
from shared.client.base import PAGE_SIZE, ServiceClient, pages
from shared.client.channel import call, domain_errors
from shared.client.credentials import Credentials
from shared.contracts.report import CompileReport
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import DataLoss, Unavailable
from shared.names import ContractName, DatasetName, JobName
from shared.rpc.canary_message import split_message
from shared.rpc.contract_message import definition_of, report_of
from shared.telemetry.trace import trace_metadata

_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 30.0
_COMPILE_TIMEOUT_SECONDS = 120.0
"""A contract compiles in its own process and may wait behind others on a busy machine."""
_SEAL_TIMEOUT_SECONDS = 300.0
_CURATION_TIMEOUT_SECONDS = 1_800.0
"""The server ends the longest step after 900 s of processor time, and another tenant's curation may come first."""
_CALIBRATION_TIMEOUT_SECONDS = 660.0
"""The server ends a calibration after 600 s."""
_DOWNLOAD_TIMEOUT_SECONDS = 600.0
"""Of one stream; who is cut off goes on from the byte that came last."""
_WATCH_RETRIES = 24
"""About two minutes without an answer: longer than a restart of the trainer takes on a busy machine."""
_FINAL_STATES = (
    training_job_pb2.TRAINING_JOB_STATE_SUCCEEDED,
    training_job_pb2.TRAINING_JOB_STATE_FAILED,
    training_job_pb2.TRAINING_JOB_STATE_CANCELLED,
)


class TrainerClient(ServiceClient):
    """Calls one trainer service; safe to share between threads. Every method raises `DomainError` subclasses."""

    def __init__(self, address: str, credentials: Credentials | None = None) -> None:
        super().__init__(address, credentials)
        self._contracts = contract_service_pb2_grpc.ContractServiceStub(self._channel)
        self._datasets = dataset_service_pb2_grpc.DatasetServiceStub(self._channel)
        self._jobs = training_service_pb2_grpc.TrainingServiceStub(self._channel)
        self._registry = registry_service_pb2_grpc.RegistryServiceStub(self._channel)

    def create_contract(
        self,
        name: str,
        spec: ContractSpec | None = None,
        *,
        json_schema: str = "",
        ddl: str = "",
        validate_only: bool = False,
    ) -> contract_pb2.OutputContract:
        """Registers a contract; an equal one of that name is returned as it is.

        `spec` says any kind in full; `json_schema` and `ddl` are short for those two kinds with their defaults.
        """
        contract = ContractName.parse(name)
        if spec is None:
            kind = ContractKind.JSON if json_schema else ContractKind.SQL
            spec = ContractSpec(kind, json_schema=json_schema, ddl=ddl)
        request = contract_service_pb2.CreateContractRequest(
            parent=str(contract.parent),
            contract_id=contract.id,
            contract=definition_of(spec),
            validate_only=validate_only,
        )
        return call(self._contracts.CreateContract, request, _COMPILE_TIMEOUT_SECONDS)

    def compile_contract(self, parent: str, spec: ContractSpec) -> CompileReport:
        """What the compiler makes of a definition for the server's base model; `tenants/{tenant}` stores nothing."""
        request = contract_service_pb2.CompileContractRequest(parent=parent, contract=definition_of(spec))
        return report_of(call(self._contracts.CompileContract, request, _COMPILE_TIMEOUT_SECONDS).report)

    def contract(self, name: str) -> contract_pb2.OutputContract:
        """A contract with its definition and report."""
        return call(self._contracts.GetContract, contract_service_pb2.GetContractRequest(name=name), _TIMEOUT_SECONDS)

    def contracts(self, parent: str) -> Iterator[contract_pb2.OutputContract]:
        """Every contract of `tenants/{tenant}`, by name."""
        for page in pages(
            self._contracts.ListContracts,
            lambda token: contract_service_pb2.ListContractsRequest(
                parent=parent, page_size=PAGE_SIZE, page_token=token
            ),
        ):
            yield from page.contracts

    def create_dataset(self, name: str, dataset: golden_dataset_pb2.GoldenDataset) -> golden_dataset_pb2.GoldenDataset:
        """Starts an upload."""
        own = DatasetName.parse(name)
        request = dataset_service_pb2.CreateGoldenDatasetRequest(
            parent=str(own.parent), dataset_id=own.id, dataset=dataset, request_id=str(uuid.uuid4())
        )
        return call(self._datasets.CreateGoldenDataset, request, _TIMEOUT_SECONDS)

    def upload(
        self,
        name: str,
        rows: bytes,
        policy: golden_dataset_pb2.InvalidRowPolicy.ValueType = golden_dataset_pb2.INVALID_ROW_POLICY_REFUSE,
    ) -> golden_dataset_pb2.GoldenDataset:
        """Sends rows in the format of the dataset from wherever the server is, seals them and returns it checked.

        One with a teacher comes back VALIDATING, and `dataset` tells when it is done.
        """
        current = self.dataset(name)
        offset = current.size_bytes
        while offset < len(rows) and current.state == golden_dataset_pb2.GOLDEN_DATASET_STATE_IMPORTING:
            chunk = dataset_service_pb2.UploadDatasetChunkRequest(
                name=name, offset=offset, data=rows[offset : offset + _CHUNK_BYTES]
            )
            offset = call(self._datasets.UploadDatasetChunk, chunk, _TIMEOUT_SECONDS).next_offset
        seal = dataset_service_pb2.SealGoldenDatasetRequest(
            name=name,
            size_bytes=len(rows),
            digest="sha256:" + hashlib.sha256(rows).hexdigest(),
            invalid_row_policy=policy,
        )
        return call(self._datasets.SealGoldenDataset, seal, _SEAL_TIMEOUT_SECONDS)

    def dataset(self, name: str) -> golden_dataset_pb2.GoldenDataset:
        """A dataset with its report, once it was checked."""
        request = dataset_service_pb2.GetGoldenDatasetRequest(name=name)
        return call(self._datasets.GetGoldenDataset, request, _TIMEOUT_SECONDS)

    def findings(
        self,
        name: str,
        *,
        reasons: Sequence[str] = (),
        min_severity: golden_dataset_pb2.FindingSeverity.ValueType = golden_dataset_pb2.FINDING_SEVERITY_UNSPECIFIED,
    ) -> Iterator[golden_dataset_pb2.DatasetFinding]:
        """Every finding of a dataset's check that is wanted, by row number."""
        for page in pages(
            self._datasets.ListDatasetFindings,
            lambda token: dataset_service_pb2.ListDatasetFindingsRequest(
                parent=name, page_size=PAGE_SIZE, page_token=token, reasons=reasons, min_severity=min_severity
            ),
        ):
            yield from page.findings

    def preview(self, name: str, row_number: int) -> example_preview_pb2.ExamplePreview:
        """A row of an active dataset, token by token, with its loss mask."""
        request = dataset_service_pb2.PreviewExampleRequest(name=name, row_number=row_number)
        return call(self._datasets.PreviewExample, request, _TIMEOUT_SECONDS)

    def curate(
        self,
        name: str,
        source: str,
        steps: Sequence[golden_dataset_pb2.CurationStep.ValueType],
        *,
        max_row_tokens: int | None = None,
        request_id: str = "",
    ) -> golden_dataset_pb2.GoldenDataset:
        """Makes the dataset `name` from `source`, which stays as it is, and returns it checked.

        `max_row_tokens` goes with DROP_LONG_ROWS. The server goes on when the call is cut off: the same call again with
        the same `request_id` (a UUID4; a new one for each call if empty) waits for it, or returns what it made.
        """
        own = DatasetName.parse(name)
        request = dataset_service_pb2.CurateGoldenDatasetRequest(
            parent=str(own.parent),
            dataset_id=own.id,
            source=source,
            steps=steps,
            request_id=request_id or str(uuid.uuid4()),
            max_row_tokens=max_row_tokens,
        )
        return call(self._datasets.CurateGoldenDataset, request, _CURATION_TIMEOUT_SECONDS)

    def changes(self, name: str, *, include_text: bool = False) -> Iterator[golden_dataset_pb2.DatasetChange]:
        """What a curation did to each row of its source, by row number; with text, the rows before and after, too."""
        for page in pages(
            self._datasets.ListDatasetChanges,
            lambda token: dataset_service_pb2.ListDatasetChangesRequest(
                parent=name, page_size=PAGE_SIZE, page_token=token, include_text=include_text
            ),
        ):
            yield from page.changes

    def train(self, name: str, job: training_job_pb2.TrainingJob) -> training_job_pb2.TrainingJob:
        """Queues a training job; `job` gives dataset, adapter and, where wanted, spec, alias, priority and limit."""
        own = JobName.parse(name)
        request = training_service_pb2.CreateTrainingJobRequest(
            parent=str(own.parent), job_id=own.id, job=job, request_id=str(uuid.uuid4())
        )
        return call(self._jobs.CreateTrainingJob, request, _TIMEOUT_SECONDS)

    def estimate(
        self, parent: str, job: training_job_pb2.TrainingJob, *, calibrate: bool = False
    ) -> training_estimate_pb2.TrainingEstimate:
        """What a job of `tenants/{tenant}` would take; `job` gives dataset and, where wanted, spec.

        `calibrate` measures it first, on an idle server, which takes from 20 s to minutes.
        """
        request = training_service_pb2.EstimateTrainingJobRequest(parent=parent, job=job, calibrate=calibrate)
        timeout = _CALIBRATION_TIMEOUT_SECONDS if calibrate else _TIMEOUT_SECONDS
        return call(self._jobs.EstimateTrainingJob, request, timeout)

    def job(self, name: str) -> training_job_pb2.TrainingJob:
        """A job as it is now."""
        return call(self._jobs.GetTrainingJob, training_service_pb2.GetTrainingJobRequest(name=name), _TIMEOUT_SECONDS)

    def cancel(self, name: str) -> training_job_pb2.TrainingJob:
        """Asks a job to stop."""
        request = training_service_pb2.CancelTrainingJobRequest(name=name)
        return call(self._jobs.CancelTrainingJob, request, _TIMEOUT_SECONDS)

    def pause(self, name: str) -> training_job_pb2.TrainingJob:
        """Stops a job until it is resumed; nothing that it learned is lost."""
        request = training_service_pb2.PauseTrainingJobRequest(name=name)
        return call(self._jobs.PauseTrainingJob, request, _TIMEOUT_SECONDS)

    def resume(self, name: str) -> training_job_pb2.TrainingJob:
        """Queues a paused job again."""
        request = training_service_pb2.ResumeTrainingJobRequest(name=name)
        return call(self._jobs.ResumeTrainingJob, request, _TIMEOUT_SECONDS)

    def watch(self, name: str, after_sequence: int = 0) -> Iterator[training_job_pb2.TrainingEvent]:
        """Every event of a job until it is final, across restarts of the server: resumes where the stream broke."""
        last, failures = after_sequence, 0
        while True:
            # A plain loop: tenacity's context manager would swallow the GeneratorExit of a caller who stops watching.
            try:
                for event in self._events(name, last):
                    last, failures = event.sequence, 0
                    if event.WhichOneof("event") is not None:
                        yield event
                if self.job(name).state in _FINAL_STATES:
                    return
            except Unavailable:
                failures += 1
                if failures > _WATCH_RETRIES:
                    raise
                time.sleep(min(5.0, 0.2 * 2**failures))

    def _events(self, name: str, after: int) -> Iterator[training_job_pb2.TrainingEvent]:
        request = training_service_pb2.WatchTrainingJobRequest(name=name, after_sequence=after)
        with domain_errors():
            stream = self._jobs.WatchTrainingJob(request, metadata=trace_metadata(), wait_for_ready=False)
            try:
                yield from stream
            finally:
                stream.cancel()  # a dropped stream would otherwise run to its end on the server

    def revision(self, name: str) -> adapter_pb2.AdapterRevision:
        """A published revision."""
        request = registry_service_pb2.GetRevisionRequest(name=name)
        return call(self._registry.GetRevision, request, _TIMEOUT_SECONDS)

    def file_chunks(self, name: str, filename: str, offset: int = 0) -> Iterator[bytes]:
        """A file of a published revision from `offset` on; raises `DataLoss` for chunks out of place."""
        request = registry_service_pb2.DownloadRevisionRequest(name=name, filename=filename, offset=offset)
        with domain_errors():
            stream = self._registry.DownloadRevision(
                request, timeout=_DOWNLOAD_TIMEOUT_SECONDS, metadata=trace_metadata()
            )
            try:
                for chunk in stream:
                    if (chunk.filename, chunk.offset) != (filename, offset):
                        raise DataLoss("DIGEST_MISMATCH", f"{name}: a chunk of {filename} is out of place")
                    offset += len(chunk.data)
                    yield chunk.data
            finally:
                stream.cancel()

    def set_alias(
        self, name: str, revision: str, etag: str = "", *, canary: CanarySplit | None = None
    ) -> adapter_pb2.AdapterAlias:
        """Promotes or rolls back: points an alias at a revision, and a share of its requests at a canary.

        Without one a canary that is on trial ends; to promote it, name its revision.
        """
        message = split_message(canary) if canary is not None else None
        alias = adapter_pb2.AdapterAlias(name=name, revision=revision, etag=etag, canary=message)
        request = registry_service_pb2.SetAliasRequest(alias=alias)
        return call(self._registry.SetAlias, request, _TIMEOUT_SECONDS)
