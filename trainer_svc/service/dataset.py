"""`goldsmith.trainer.v1.DatasetService`."""

from __future__ import annotations

from goldsmith.trainer.v1 import dataset_service_pb2 as pb
from goldsmith.trainer.v1 import dataset_service_pb2_grpc, example_preview_pb2, golden_dataset_pb2
from shared.clock import Clock
from shared.names import DatasetName, TenantName, check_id
from shared.rpc.page import Page
from shared.rpc.request_id import check_request_id
from trainer_svc.app.curator import Curator
from trainer_svc.app.datasets import Datasets
from trainer_svc.service import Context
from trainer_svc.translate import dataset as translate
from trainer_svc.translate import preview as translate_preview


class DatasetServicer(dataset_service_pb2_grpc.DatasetServiceServicer):
    """Golden datasets of a tenant."""

    def __init__(self, datasets: Datasets, curator: Curator, clock: Clock) -> None:
        self._datasets, self._curator, self._clock = datasets, curator, clock

    async def CreateGoldenDataset(
        self, request: pb.CreateGoldenDatasetRequest, context: Context
    ) -> golden_dataset_pb2.GoldenDataset:
        """Starts an upload."""
        parent = TenantName.parse(request.parent)
        name = DatasetName(parent.tenant, check_id(request.dataset_id, "dataset_id"))
        wanted = translate.new_dataset(name, request.dataset, self._clock.now())
        return translate.dataset(await self._datasets.create(wanted, check_request_id(request.request_id)))

    async def UploadDatasetChunk(
        self, request: pb.UploadDatasetChunkRequest, context: Context
    ) -> pb.UploadDatasetChunkResponse:
        """Stores bytes at an offset."""
        offset = await self._datasets.upload(DatasetName.parse(request.name), request.offset, request.data)
        return pb.UploadDatasetChunkResponse(next_offset=offset)

    async def SealGoldenDataset(
        self, request: pb.SealGoldenDatasetRequest, context: Context
    ) -> golden_dataset_pb2.GoldenDataset:
        """Closes and checks the upload."""
        policy = translate.policy(request.invalid_row_policy)
        name = DatasetName.parse(request.name)
        return translate.dataset(await self._datasets.seal(name, request.size_bytes, request.digest, policy))

    async def GetGoldenDataset(
        self, request: pb.GetGoldenDatasetRequest, context: Context
    ) -> golden_dataset_pb2.GoldenDataset:
        """A dataset."""
        return translate.dataset(await self._datasets.get(DatasetName.parse(request.name)))

    async def ListGoldenDatasets(
        self, request: pb.ListGoldenDatasetsRequest, context: Context
    ) -> pb.ListGoldenDatasetsResponse:
        """One page by name."""
        page = Page.parse(request.page_size, request.page_token)
        found, token = await self._datasets.page(TenantName.parse(request.parent), page)
        return pb.ListGoldenDatasetsResponse(datasets=map(translate.dataset, found), next_page_token=token)

    async def ListDatasetFindings(
        self, request: pb.ListDatasetFindingsRequest, context: Context
    ) -> pb.ListDatasetFindingsResponse:
        """One page by row."""
        page = Page.parse(request.page_size, request.page_token)
        wanted = translate.finding_filter(request.reasons, request.min_severity)
        found, token = await self._datasets.findings(DatasetName.parse(request.parent, "parent"), page, wanted)
        return pb.ListDatasetFindingsResponse(findings=map(translate.finding, found), next_page_token=token)

    async def PreviewExample(
        self, request: pb.PreviewExampleRequest, context: Context
    ) -> example_preview_pb2.ExamplePreview:
        """A row, token by token."""
        return translate_preview.preview(
            await self._datasets.preview(DatasetName.parse(request.name), request.row_number)
        )

    async def CurateGoldenDataset(
        self, request: pb.CurateGoldenDatasetRequest, context: Context
    ) -> golden_dataset_pb2.GoldenDataset:
        """Makes a new dataset from another."""
        parent = TenantName.parse(request.parent)
        name = DatasetName(parent.tenant, check_id(request.dataset_id, "dataset_id"))
        source, steps = DatasetName.parse(request.source, "source"), translate.steps(request.steps)
        request_id, most = check_request_id(request.request_id), translate.max_row_tokens(request)
        made = await self._curator.curate(name, source, steps, request_id, max_row_tokens=most)
        return translate.dataset(made)

    async def ListDatasetChanges(
        self, request: pb.ListDatasetChangesRequest, context: Context
    ) -> pb.ListDatasetChangesResponse:
        """One page by row."""
        page = Page.parse(request.page_size, request.page_token)
        name = DatasetName.parse(request.parent, "parent")
        found, token = await self._curator.told_changes(name, page, include_text=request.include_text)
        return pb.ListDatasetChangesResponse(changes=map(translate.change, found), next_page_token=token)
