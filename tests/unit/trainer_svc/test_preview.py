"""An example token by token."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldsmith.trainer.v1 import example_preview_pb2 as pb
from shared.base_model import BaseModel
from shared.errors import StateConflict
from shared.prompt import PromptRenderer
from shared.storage.local import LocalBlobStore
from shared.testing import ManualClock
from trainer_svc.curation.compiled_example import ExampleCompiler, Proof
from trainer_svc.curation.judgement import MAX_INPUT_BYTES, MAX_OUTPUT_BYTES
from trainer_svc.curation.preview import Preview, Role, preview_row
from trainer_svc.curation.row_file import dump_rows
from trainer_svc.domain.dataset import CheckedRow, Dataset
from trainer_svc.translate.preview import preview as message_of

MAX_MESSAGE_BYTES = 4 << 20
"""gRPC's default."""


def _preview(base: BaseModel, folder: Path, train: CheckedRow, holdout: CheckedRow, number: int) -> Preview | None:
    blobs = LocalBlobStore(folder)
    dataset = Dataset(
        "tenants/acme/datasets/d", "tenants/acme/contracts/c", "", "", ManualClock().now(),
        train_rows=blobs.put_bytes(dump_rows([train])), holdout_rows=blobs.put_bytes(dump_rows([holdout])),
    )  # fmt: skip
    return preview_row(blobs, dataset, number, ExampleCompiler(PromptRenderer.load(base), base.max_positions))


class TestPreview:
    """A row of either split."""

    def test_shows_template_input_output_and_stop_in_order(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """The texts of each part join to what the row holds; exactly output and stop token are learned."""
        row = CheckedRow(4, "two for Malmö", '{"city":"Malmö"}')

        shown = _preview(tiny_base, tmp_path, row, CheckedRow(5, "x", "1"), 4)

        assert shown is not None
        texts = {role: b"".join(t.text for t in shown.tokens if t.role is role).decode() for role in Role}
        assert texts == {Role.TEMPLATE: "", Role.INPUT: row.input, Role.OUTPUT: row.output, Role.STOP: ""}
        assert [t.control_name for t in shown.tokens if t.control_name] == ["<|input|>", "<|output|>", "<|end|>"]
        assert {t.role for t in shown.tokens if t.is_learned} == {Role.OUTPUT, Role.STOP}
        assert [t.is_learned for t in shown.tokens] == sorted(t.is_learned for t in shown.tokens)
        assert sum(not t.is_learned for t in shown.tokens) == shown.prompt_length
        assert (shown.is_held_out, shown.faults) == (False, {})

    def test_shows_a_held_out_row_with_what_does_not_hold(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """One over the context is shown whole."""
        shown = _preview(tiny_base, tmp_path, CheckedRow(1, "x", "1"), CheckedRow(2, "#" * 600, "1"), 2)

        assert shown is not None
        assert shown.is_held_out
        assert list(shown.faults) == [Proof.FITS_CONTEXT]
        message = message_of(shown)
        assert message.split == pb.EXAMPLE_SPLIT_HOLDOUT
        assert {result.proof for result in message.proofs} == set(pb.ExampleProof.values()) - {0}
        assert [bool(result.fault) for result in message.proofs].count(True) == 1

    def test_is_none_for_a_row_in_neither_split(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """Refused rows are not stored."""
        assert _preview(tiny_base, tmp_path, CheckedRow(1, "x", "1"), CheckedRow(2, "y", "1"), 3) is None

    @pytest.mark.parametrize("sign", ["\x01", "é", "#"])
    def test_of_the_largest_row_fits_into_a_message(self, tiny_base: BaseModel, tmp_path: Path, sign: str) -> None:
        """The limits of a row's text hold it far below gRPC's default, even with a token for every byte."""
        size = len(sign.encode())
        row = CheckedRow(1, sign * (MAX_INPUT_BYTES // size), sign * (MAX_OUTPUT_BYTES // size))

        shown = _preview(tiny_base, tmp_path, CheckedRow(2, "x", "1"), row, 1)

        assert shown is not None
        assert message_of(shown).ByteSize() < MAX_MESSAGE_BYTES // 2

    def test_of_a_row_over_the_limits_is_refused(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """Held out although it breaks them, it may have a million tokens."""
        row, other = CheckedRow(4, "#" * (MAX_INPUT_BYTES + 1), "1"), CheckedRow(5, "a", "1")

        with pytest.raises(StateConflict, match="row 4 is not shown: its input has 32769 bytes"):
            _preview(tiny_base, tmp_path, other, row, 4)
