"""Every domain error has a status, every reason is in the contract, and details always arrive."""

import re
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2

from goldsmith.error.v1 import error_reason_pb2
from shared import errors
from shared.errors import DomainError, FieldViolation
from shared.rpc.status import CODES, MAX_DETAIL_BYTES, to_status

ROOT = Path(__file__).parents[2]
# reason= or the first argument of a DomainError class.
_REASON = re.compile(rf"(?:{'|'.join(k.__name__ for k in CODES)})\(\s*(?:reason=)?\"([A-Z_]+)\"")


def _classes() -> set[type[DomainError]]:
    return {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DomainError)} - {
        DomainError
    }


class TestErrorTable:
    """The table between domain errors and gRPC status."""

    def test_holds_every_class_once(self) -> None:
        """No class is without a code and no two share one."""
        assert set(CODES) == _classes()
        assert len(set(CODES.values())) == len(CODES)

    def test_every_reason_raised_is_in_the_contract(self) -> None:
        """Clients find each reason as a constant of ErrorReason."""
        known = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118
        raised = {
            reason
            for package in ("shared", "trainer_svc", "inference_svc")
            for path in (ROOT / package).rglob("*.py")
            for reason in _REASON.findall(path.read_text())
        }

        assert len(raised) > 5
        assert raised - known == set()

    @pytest.mark.parametrize("count", [0, 1, 32, 10_000])
    def test_details_fit_into_metadata(self, count: int) -> None:
        """However many violations there are, the details stay below 4 KiB and say how many there were."""
        violations = [FieldViolation(f"rows[{i}].output#/very/long/pointer/{i}", "x" * 500) for i in range(count)]
        error = errors.InvalidInput("CONTRACT_VIOLATED", "m" * 5_000, violations=violations)

        status = to_status(error)

        assert sum(len(detail.value) for detail in status.details) <= MAX_DETAIL_BYTES
        info = error_details_pb2.ErrorInfo()
        status.details[0].Unpack(info)
        assert info.metadata.get("total_violation_count", "0") == str(count)
        assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
