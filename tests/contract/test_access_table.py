"""The access table against the contracts: every RPC has its row, and every row says what the RPC is."""

from __future__ import annotations

import re
from functools import reduce

import pytest
from google.protobuf.descriptor import Descriptor

from shared.rpc.access.check import CONTENT_FIELDS
from shared.rpc.access.table import RULES
from shared.rpc.identity import Role
from tests.access.rpcs import PROTOS, Rpc, all_rpcs, string_fields

RPCS = all_rpcs()
OURS = [rpc for rpc in RPCS if rpc.path.startswith("/goldsmith.")]
READING = ("Get", "List", "Watch", "Download", "Generate", "Extract", "Compile", "Preview", "Estimate", "Check")
"""How the name of an RPC begins that leaves everything as it is; the contracts say of each that it stores nothing."""
_NAME_COMMENT = re.compile(r"//([^\n]*)tenants/\{[^\n]*\n(?:\s*//[^\n]*\n)*\s*(?:repeated )?string (\w+) =")


def _field_type(message: Descriptor, path: str) -> int:
    *parents, last = path.split(".")
    inner = reduce(lambda found, name: found.fields_by_name[name].message_type, parents, message)
    return int(inner.fields_by_name[last].type)


class TestTable:
    """`shared.rpc.access.table`."""

    def test_has_one_row_for_each_rpc_and_no_other(self) -> None:
        """A new RPC cannot be called before somebody decided who may; a removed one leaves nothing behind."""
        assert len(RPCS) > 30
        assert set(RULES) == {rpc.path for rpc in RPCS}

    @pytest.mark.parametrize("rpc", OURS, ids=lambda rpc: rpc.short)
    def test_names_fields_that_the_request_has(self, rpc: Rpc) -> None:
        """Resource and id fields are texts of this request."""
        rule, request = RULES[rpc.path], rpc.descriptor.input_type
        fields = [*rule.resource, *([rule.creates[1]] if rule.creates else [])]

        assert {_field_type(request, path) for path in fields} <= {9}  # TYPE_STRING

    @pytest.mark.parametrize("rpc", OURS, ids=lambda rpc: rpc.short)
    def test_leaves_no_rpc_of_tenants_without_a_resource(self, rpc: Rpc) -> None:
        """Whoever has a role inside a tenant only calls what names something in a tenant."""
        rule = RULES[rpc.path]

        assert rule.roles is not None
        assert rule.resource or not rule.roles & {Role.USER, Role.ADMIN}

    @pytest.mark.parametrize("rpc", OURS, ids=lambda rpc: rpc.short)
    def test_audits_what_changes_something(self, rpc: Rpc) -> None:
        """All but the reading verbs, which the inference service's registry role is kept to; each gives one answer.

        A replica may take back a canary that it judged and report what it counted, and nothing else.
        """
        rule, name = RULES[rpc.path], rpc.descriptor.name

        assert rule.changes == (not name.startswith(READING))
        assert not (rule.changes and Role.USER in (rule.roles or ()))
        assert (rule.changes and Role.SERVICE in (rule.roles or ())) == (name in ("RollBackCanary", "ReportUsage"))
        assert not (rule.changes and rpc.descriptor.server_streaming)
        assert (rule.creates is not None) == name.startswith(("Create", "Curate"))

    def test_keeps_readers_from_what_takes_the_machine(self) -> None:
        """The field is a yes or no of the request, and the roles are those that may create a job."""
        spending = {rpc.short: rpc for rpc in OURS if RULES[rpc.path].spends}

        assert set(spending) == {"TrainingService/EstimateTrainingJob"}
        for rpc in spending.values():
            field, roles = RULES[rpc.path].spends or ("", frozenset())
            assert _field_type(rpc.descriptor.input_type, field) == 8  # TYPE_BOOL
            assert roles == RULES["/goldsmith.trainer.v1.TrainingService/CreateTrainingJob"].roles

    @pytest.mark.parametrize("rpc", OURS, ids=lambda rpc: rpc.short)
    def test_ends_watches_with_the_credential(self, rpc: Rpc) -> None:
        """Streams without an end of their own, and no others."""
        assert RULES[rpc.path].follows == rpc.descriptor.name.startswith("Watch")

    def test_opens_health_alone_to_anyone(self) -> None:
        """Everything else needs a credential."""
        assert {path for path, rule in RULES.items() if rule.roles is None} == {
            f"/grpc.health.v1.Health/{name}" for name in ("Check", "List", "Watch")
        }


class TestContentFields:
    """Texts that are not held to be names."""

    def test_are_texts_that_a_caller_can_send(self) -> None:
        """None is stale."""
        known = {full_name for rpc in OURS for _, full_name in string_fields(rpc.descriptor.input_type)}

        assert known >= CONTENT_FIELDS

    def test_hold_no_name_by_the_contracts_own_word(self) -> None:
        """No field whose comment says tenants/{tenant} is among them."""
        names = {
            f"{path.parent.as_posix().replace('/', '.')}.{field}"
            for path in (file.relative_to(PROTOS) for file in PROTOS.rglob("*.proto"))
            for _, field in _NAME_COMMENT.findall((PROTOS / path).read_text())
        }
        content = {re.sub(r"\.[A-Z]\w*\.", ".", name) for name in CONTENT_FIELDS}

        assert len(names) >= 10
        assert names & content == set()
