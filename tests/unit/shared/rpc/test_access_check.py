"""What a caller of one tenant may name in a request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from goldsmith.contract.v1 import contract_service_pb2 as contract_pb
from goldsmith.inference.v1 import inference_service_pb2 as inference_pb
from goldsmith.registry.v1 import registry_service_pb2 as registry_pb
from goldsmith.trainer.v1 import dataset_service_pb2 as dataset_pb
from goldsmith.trainer.v1 import training_service_pb2 as training_pb
from shared import names
from shared.errors import AccessDenied, DomainError, InvalidInput, NotFound
from shared.rpc.access.check import CONTENT_FIELDS, authorise
from shared.rpc.access.table import RULES
from shared.rpc.identity import Identity, IdentityMethod, Role
from shared.rpc.identity.caller import TENANT_ROLES
from tests.access.rpcs import Rpc, all_rpcs, string_fields

ADMIN = Identity("ada", "acme", frozenset({Role.ADMIN}), IdentityMethod.TOKEN)
OPERATOR = Identity("otto", None, frozenset({Role.OPERATOR}), IdentityMethod.TOKEN)
GET, EXTRACT = "/goldsmith.contract.v1.ContractService/GetContract", "/goldsmith.inference.v1.InferenceService/Extract"
ABOVE = [
    rpc for rpc in all_rpcs() if RULES[rpc.path].resource and not (RULES[rpc.path].roles or frozenset()) & TENANT_ROLES
]
"""About what a tenant owns, and for roles that stand above tenants."""
FIELDS = [
    (rpc, path, full_name)
    for rpc in all_rpcs()
    if RULES[rpc.path].resource and rpc not in ABOVE
    for path, full_name in string_fields(rpc.descriptor.input_type)
]


def _set(message: Message, path: str, value: str) -> None:
    """Puts a text at a path, into lists and maps too."""
    *parents, last = path.split(".")
    for name in parents:
        inner = getattr(message, name)
        kind = message.DESCRIPTOR.fields_by_name[name].message_type
        if kind.GetOptions().map_entry:
            inner[value] = 1
            return
        message = inner.add() if message.DESCRIPTOR.fields_by_name[name].is_repeated else inner
    if message.DESCRIPTOR.fields_by_name[last].is_repeated:
        getattr(message, last).append(value)
    else:
        setattr(message, last, value)


def _filled(rpc: Rpc) -> Message:
    """A request whose first resource is the caller's own."""
    request = rpc.request_type()
    _set(request, RULES[rpc.path].resource[0], "tenants/acme")
    return request


class TestNames:
    """Texts of a request that look like names, wherever they stand."""

    @pytest.mark.parametrize(("rpc", "path", "full_name"), FIELDS, ids=lambda part: getattr(part, "short", part))
    def test_of_another_tenant_are_not_there(self, rpc: Rpc, path: str, full_name: str) -> None:
        """In every field of every RPC, in words that say nothing of it; a tenant's own content may look like one."""
        request = _filled(rpc)
        authorise(RULES[rpc.path], ADMIN, request)
        _set(request, path, "tenants/globex/contracts/answer")

        if full_name in CONTENT_FIELDS:
            authorise(RULES[rpc.path], ADMIN, request)
        else:
            with pytest.raises(NotFound) as caught:
                authorise(RULES[rpc.path], ADMIN, request)
            assert str(caught.value) == str(names.absent("tenants/globex/contracts/answer"))
        authorise(RULES[rpc.path], OPERATOR, request)

    def test_do_not_open_what_is_for_roles_above_tenants(self) -> None:
        """Not even one's own; the names are not looked at."""
        assert {rpc.short for rpc in ABOVE} == {"RegistryService/RollBackCanary", "EconomicsService/ReportUsage"}
        for rpc in ABOVE:
            with pytest.raises(AccessDenied):
                authorise(RULES[rpc.path], ADMIN, _filled(rpc))
            authorise(RULES[rpc.path], OPERATOR, _filled(rpc))

    @pytest.mark.parametrize(
        "name",
        ["tenants/", "tenants/-", "tenants/-/contracts/x", "tenants/acmes/contracts/x", "tenants/acm", "tenants//acme",
         " tenants/acme/contracts/x", "/tenants/acme/contracts/x", "tenants/ACME/contracts/x", "x/tenants/acme"],
    )  # fmt: skip
    def test_that_are_only_like_the_callers_are_not_there_either(self, name: str) -> None:
        """The tenant is compared whole, and no place stands for all."""
        with pytest.raises(NotFound):
            authorise(RULES[GET], ADMIN, contract_pb.GetContractRequest(name=name))

    @pytest.mark.parametrize("name", ["", "contracts/answer", "acme", "TENANTS/acme/contracts/x", "tenants\\acme"])
    def test_that_are_none_are_refused_before_any_handler(self, name: str) -> None:
        """With the field and what it must begin with."""
        with pytest.raises(InvalidInput) as caught:
            authorise(RULES[GET], ADMIN, contract_pb.GetContractRequest(name=name))

        assert [violation.path for violation in caught.value.violations] == ["name"]
        assert "tenants/acme" in str(caught.value)

    def test_of_adapter_and_contract_are_both_looked_at(self) -> None:
        """One of them may be left out, both may not, and the own one does not vouch for the other."""
        own, other = "tenants/acme/adapters/a", "tenants/globex/contracts/c"

        def asked(**prompt: str) -> None:
            authorise(RULES[EXTRACT], ADMIN, inference_pb.ExtractRequest(prompt=inference_pb.Prompt(**prompt)))

        asked(adapter=own, input="tenants/globex/adapters/a is only a text here")
        asked(contract="tenants/acme/contracts/c", input="x")
        with pytest.raises(InvalidInput):
            asked(input="x")
        with pytest.raises(NotFound):
            asked(adapter=own, contract=other, input="x")
        with pytest.raises(NotFound):
            asked(adapter="tenants/globex/adapters/a", contract="tenants/acme/contracts/c", input="x")


_PARSERS: list[Callable[[str], object]] = [
    names.TenantName.parse, names.ContractName.parse, names.DatasetName.parse, names.JobName.parse,
    names.AdapterName.parse, names.RevisionName.parse, names.AliasName.parse,
]  # fmt: skip
_PIECES = st.sampled_from(
    ["tenants", "tenants/", "acme", "globex", "/", "//", "..", ".", "-", "%2f", "%2e", "\x00", " ", "\n", "contracts",
     "/contracts/x", "/adapters/a", "/revisions/1", "/aliases/live", "\u2215", "\uff0f", "A", "\\", "?", "#"]
)  # fmt: skip


class TestFuzz:
    """Names of any shape."""

    @given(st.lists(_PIECES | st.text(max_size=3), max_size=9).map("".join) | st.text(max_size=80))
    def test_that_pass_are_the_callers_own_or_no_names(self, name: str) -> None:
        """What the check lets through, no parser of any handler reads as another tenant's."""
        for request, method in (
            (contract_pb.GetContractRequest(name=name), "contract.v1.ContractService/GetContract"),
            (registry_pb.GetRevisionRequest(name=name), "registry.v1.RegistryService/GetRevision"),
            (dataset_pb.ListGoldenDatasetsRequest(parent=name), "trainer.v1.DatasetService/ListGoldenDatasets"),
        ):
            try:
                authorise(RULES[f"/goldsmith.{method}"], ADMIN, request)
            except (NotFound, InvalidInput):
                continue
            for parse in _PARSERS:
                try:
                    parsed = parse(name)
                except DomainError:
                    continue
                assert getattr(parsed, "tenant") == "acme"  # noqa: B009  # of whatever class it is


class TestRoles:
    """What a caller is there for."""

    def test_come_before_names(self) -> None:
        """Who may not call at all learns nothing of the resource, and is told who may."""
        user = Identity("uma", "acme", frozenset({Role.USER}), IdentityMethod.TOKEN)
        rule = RULES["/goldsmith.contract.v1.ContractService/CreateContract"]

        with pytest.raises(AccessDenied) as caught:
            authorise(rule, user, contract_pb.CreateContractRequest(parent="tenants/globex"))

        assert caught.value.reason == "ROLE_MISSING"
        assert caught.value.metadata == {"roles": "admin,operator"}

    def test_add_up(self) -> None:
        """One of several is enough."""
        both = Identity("ada", "acme", frozenset({Role.USER, Role.ADMIN}), IdentityMethod.TOKEN)
        rule = RULES["/goldsmith.contract.v1.ContractService/CreateContract"]

        authorise(rule, both, contract_pb.CreateContractRequest(parent="tenants/acme"))

    @pytest.mark.parametrize("role", [Role.USER, Role.ADMIN])
    def test_of_an_estimate_grow_with_calibrate(self, role: Role) -> None:
        """To look is for users; a calibration takes the machine as a job does: for whoever may create one, audited."""
        rule = RULES["/goldsmith.trainer.v1.TrainingService/EstimateTrainingJob"]
        caller = Identity("uma", "acme", frozenset({role}), IdentityMethod.TOKEN)
        looking = training_pb.EstimateTrainingJobRequest(parent="tenants/acme")
        calibrating = training_pb.EstimateTrainingJobRequest(parent="tenants/acme", calibrate=True)

        authorise(rule, caller, looking)
        with nullcontext() if role is Role.ADMIN else pytest.raises(AccessDenied, match="with calibrate is for admin"):
            authorise(rule, caller, calibrating)

        assert tuple(rule.is_audited(each, has_failed=False) for each in (looking, calibrating)) == (False, True)
