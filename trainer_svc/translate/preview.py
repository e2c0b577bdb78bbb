"""Previews of golden examples."""

from __future__ import annotations

from goldsmith.trainer.v1 import example_preview_pb2 as pb
from trainer_svc.curation.compiled_example import Proof
from trainer_svc.curation.preview import Preview, Role, Token

_ROLES = {role: pb.ExampleTokenRole.Value(f"EXAMPLE_TOKEN_ROLE_{role.name}") for role in Role}
_PROOFS = {proof: pb.ExampleProof.Value(f"EXAMPLE_PROOF_{proof.name}") for proof in Proof}


def preview(shown: Preview) -> pb.ExamplePreview:
    """An example, token by token."""
    return pb.ExamplePreview(
        row_number=shown.row_number,
        split=pb.EXAMPLE_SPLIT_HOLDOUT if shown.is_held_out else pb.EXAMPLE_SPLIT_TRAIN,
        tokens=map(_token, shown.tokens),
        prompt_token_count=shown.prompt_length,
        completion_token_count=len(shown.tokens) - shown.prompt_length,
        context_tokens=shown.context_tokens,
        proofs=[
            pb.ExampleProofResult(proof=number, fault=shown.faults.get(proof, "")) for proof, number in _PROOFS.items()
        ],
    )


def _token(token: Token) -> pb.ExampleToken:
    return pb.ExampleToken(
        id=token.id,
        text=token.text,
        control_name=token.control_name,
        role=_ROLES[token.role],
        learned=token.is_learned,
    )
