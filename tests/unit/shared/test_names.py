"""Resource names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.names import (
    AdapterName,
    AliasName,
    ContractName,
    DatasetName,
    JobName,
    PreferenceStudyName,
    PromotionPolicyName,
    RevisionName,
    TenantName,
)

_ID = st.from_regex(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


class TestNames:
    """Parsing and printing."""

    @given(_ID, _ID, _ID, st.integers(1, 999_999_999))
    def test_round_trip(self, tenant: str, one: str, two: str, number: int) -> None:
        """A name prints as it was parsed."""
        for name in (
            TenantName(tenant),
            ContractName(tenant, one),
            DatasetName(tenant, one),
            JobName(tenant, one),
            AdapterName(tenant, one),
            RevisionName(tenant, one, number),
            AliasName(tenant, one, two),
            PreferenceStudyName(tenant, one, two),
            PromotionPolicyName(tenant, one),
        ):
            assert type(name).parse(str(name)) == name

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "tenants/acme",
            "tenants/acme/adapters/",
            "tenants/acme/adapters/../x",
            "tenants/ACME/adapters/x",
            "tenants/acme/jobs/x",
            "tenants/acme/adapters/x/y",
            "tenants/acme/adapters/x\n",
            "/tenants/acme/adapters/x",
        ],
    )
    def test_anything_else_is_refused_by_field(self, text: str) -> None:
        """A malformed name is InvalidInput that names the field; no path can be smuggled in."""
        with pytest.raises(InvalidInput) as caught:
            AdapterName.parse(text, "job.adapter")

        assert caught.value.reason == "FIELD_INVALID"
        assert caught.value.violations[0].path == "job.adapter"

    @pytest.mark.parametrize("number", ["0", "01", "-1", "x", "1e3", "9999999999"])
    def test_revision_numbers_count_from_one(self, number: str) -> None:
        """Only canonical positive numbers name a revision."""
        with pytest.raises(InvalidInput):
            RevisionName.parse(f"tenants/a/adapters/b/revisions/{number}")
