"""Draws an example token by token: what is read, what is learned, where each token ends."""

from __future__ import annotations

import itertools

from rich.console import Console
from rich.text import Text

from goldsmith.trainer.v1 import example_preview_pb2 as pb
from shared.cli.visible import visible

_TEMPLATE, _INPUT, _STOP = "dim italic", "dim", "bold white on red"
_LEARNED = ("black on green", "black on bright_green")
"""In turn, so that the border between two tokens is seen."""
_BORDER = "|"
"""Between learned tokens where there is no colour."""


def show_preview(console: Console, preview: pb.ExamplePreview) -> None:
    """The example, a legend and the counts, then each proof that does not hold."""
    console.print(_drawn(preview, is_coloured=console.color_system is not None))
    console.print()
    console.print(_legend())
    total = preview.prompt_token_count + preview.completion_token_count
    split = "held out" if preview.split == pb.EXAMPLE_SPLIT_HOLDOUT else "trained on"
    console.print(
        f"row {preview.row_number}, {split}: {preview.prompt_token_count:,} tokens read + "
        f"{preview.completion_token_count:,} learned = {total:,} of {preview.context_tokens:,}"
    )
    broken = [result for result in preview.proofs if result.fault]
    console.print(f"{len(preview.proofs) - len(broken)} of {len(preview.proofs)} proofs hold")
    for result in broken:
        console.print(Text(f"{_proof_name(result.proof)}: {visible(result.fault)}", style="red"))


def _drawn(preview: pb.ExamplePreview, *, is_coloured: bool) -> Text:
    text = Text(overflow="fold")
    read = (token for token in preview.tokens if not token.learned)
    # Borders between tokens that are only read matter to nobody, and characters that lie across them come whole.
    for role, tokens in itertools.groupby(read, key=lambda token: token.role):
        data = b"".join(token.control_name.encode() or token.text for token in tokens)
        text.append(visible(data), style=_INPUT if role == pb.EXAMPLE_TOKEN_ROLE_INPUT else _TEMPLATE)
    for index, token in enumerate(token for token in preview.tokens if token.learned):
        is_stop = token.role == pb.EXAMPLE_TOKEN_ROLE_STOP
        text.append("" if is_coloured else _BORDER)
        text.append(visible(token.control_name or token.text), style=_STOP if is_stop else _LEARNED[index % 2])
    return text


def _legend() -> Text:
    return Text.assemble(
        ("template", _TEMPLATE), "  ", ("input", _INPUT), "  ", ("learned", _LEARNED[0]), (" token by", _LEARNED[1]),
        (" token", _LEARNED[0]), "  ", ("stop", _STOP),
    )  # fmt: skip


def _proof_name(proof: pb.ExampleProof.ValueType) -> str:
    names = {value: name for name, value in pb.ExampleProof.items()}
    # A newer server may have more of them.
    return names.get(proof, str(proof)).removeprefix("EXAMPLE_PROOF_").lower()
