"""`goldsmith.registry.v1.RegistryService`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from goldsmith.registry.v1 import adapter_pb2, registry_service_pb2_grpc
from goldsmith.registry.v1 import registry_service_pb2 as pb
from shared.names import AdapterName, AliasName, RevisionName, invalid_field
from shared.rpc.canary_message import moment_of, reason_of, split_of
from shared.rpc.page import Page
from trainer_svc.app.registry import RegistryReader
from trainer_svc.service import Context
from trainer_svc.service.actor import caller
from trainer_svc.translate import registry as translate


class RegistryServicer(registry_service_pb2_grpc.RegistryServiceServicer):
    """Adapters, their revisions and aliases."""

    def __init__(self, registry: RegistryReader) -> None:
        self._registry = registry

    async def GetRevision(self, request: pb.GetRevisionRequest, context: Context) -> adapter_pb2.AdapterRevision:
        """A revision."""
        return translate.revision(await self._registry.revision(RevisionName.parse(request.name)))

    async def ListRevisions(self, request: pb.ListRevisionsRequest, context: Context) -> pb.ListRevisionsResponse:
        """One page, newest first."""
        page = Page.parse(request.page_size, request.page_token)
        found, token = await self._registry.revisions(AdapterName.parse(request.parent, "parent"), page)
        return pb.ListRevisionsResponse(revisions=map(translate.revision, found), next_page_token=token)

    async def DownloadRevision(
        self, request: pb.DownloadRevisionRequest, context: Context
    ) -> AsyncIterator[pb.DownloadRevisionResponse]:
        """Files as chunks."""
        name = RevisionName.parse(request.name)
        async for chunk in self._registry.download(name, request.filename, request.offset):
            yield pb.DownloadRevisionResponse(filename=chunk.filename, offset=chunk.offset, data=chunk.data)

    async def ListAliases(self, request: pb.ListAliasesRequest, context: Context) -> pb.ListAliasesResponse:
        """One page by name."""
        parts = request.parent.split("/")
        if len(parts) != 4 or (parts[0], parts[2]) != ("tenants", "adapters"):
            raise invalid_field("parent", 'must look like tenants/*/adapters/*, "-" stands for all')
        page = Page.parse(request.page_size, request.page_token)
        found, token = await self._registry.aliases(parts[1], parts[3], page)
        return pb.ListAliasesResponse(aliases=map(translate.alias, found), next_page_token=token)

    async def SetAlias(self, request: pb.SetAliasRequest, context: Context) -> adapter_pb2.AdapterAlias:
        """Moves an alias; sets, changes or ends its canary."""
        name = AliasName.parse(request.alias.name, "alias.name")
        revision = RevisionName.parse(request.alias.revision, "alias.revision")
        canary = split_of(request.alias.canary) if request.alias.HasField("canary") else None
        etag = request.alias.etag
        return translate.alias(await self._registry.set_alias(name, revision, etag, canary, actor=caller()))

    async def RollBackCanary(self, request: pb.RollBackCanaryRequest, context: Context) -> adapter_pb2.AdapterAlias:
        """Ends the trial of a canary that is worse."""
        alias = await self._registry.roll_back_canary(
            AliasName.parse(request.name),
            RevisionName.parse(request.revision, "revision"),
            moment_of(request.start_time, "start_time"),
            reason_of(request.reason, "reason"),
            request.description,
            actor=caller(),
        )
        return translate.alias(alias)

    async def WatchAliases(
        self, request: pb.WatchAliasesRequest, context: Context
    ) -> AsyncIterator[pb.WatchAliasesResponse]:
        """Changes after a cursor."""
        async for change in self._registry.watch(request.cursor):
            if isinstance(change, str):
                yield pb.WatchAliasesResponse(cursor=change)
            else:
                yield pb.WatchAliasesResponse(cursor=str(change.cursor), alias=translate.alias(change.alias))
