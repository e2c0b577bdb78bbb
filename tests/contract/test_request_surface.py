"""Nothing that a caller may send, and nothing that reaches vLLM, can break a contract."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor

from goldsmith.inference.v1 import generation_pb2, inference_service_pb2
from inference_svc.app.ports import EngineCall
from inference_svc.domain.generation import Sampling

SERVICE = inference_service_pb2.DESCRIPTOR.services_by_name["InferenceService"]
GENERATING = ("Generate", "Extract", "GenerateSql", "GenerateStream")
HARMLESS = {"temperature", "top_p", "seed", "max_output_tokens"}
"""What `Sampling` may hold: it chooses among tokens that the contract allows, and says how many there may be."""

HARMFUL = {
    "stop", "stop_strings", "stop_token_ids", "include_stop_str_in_output", "ignore_eos", "min_tokens",
    "min_output_tokens", "logit_bias", "logits_processors", "allowed_token_ids", "bad_words", "bad_token_ids", "n",
    "best_of", "candidate_count", "skip_special_tokens", "truncate_prompt_tokens", "structured_outputs", "guided_json",
    "response_format", "extra_args", "repetition_penalty", "presence_penalty", "frequency_penalty", "prompt_token_ids",
}  # fmt: skip
"""Parameters of vLLM and OpenAI that cut an answer short, prolong it, choose tokens past the mask or name a format."""

OURS = {
    "temperature", "top_p", "seed", "max_tokens", "detokenize", "output_kind", "stream_interval", "structured_outputs",
    "skip_clone",
}  # fmt: skip
"""What may differ from vLLM's defaults. The first four are the caller's; the last two lines of each request are the
contract itself and how tokens travel."""


def _below(message: Descriptor, seen: set[str]) -> Iterator[Descriptor]:
    """The message and every message that it can hold."""
    if message.full_name not in seen:
        seen.add(message.full_name)
        yield message
        for field in message.fields:
            if field.message_type is not None:
                yield from _below(field.message_type, seen)


class TestProtobuf:
    """Requests of the inference service."""

    @pytest.mark.parametrize("method", GENERATING)
    def test_hold_a_prompt_how_to_sample_and_a_lane_and_no_more(self, method: str) -> None:
        """A new field must be judged here before it can be sent. The priority decides when the engine begins."""
        request = SERVICE.methods_by_name[method].input_type

        assert {field.name: (field.message_type or field.enum_type).name for field in request.fields} == {
            "prompt": "Prompt",
            "sampling": "Sampling",
            "priority": "Priority",
        }

    def test_every_method_is_known_here(self) -> None:
        """A new method that generates must join the list."""
        assert set(SERVICE.methods_by_name) == {*GENERATING, "ListResidentAdapters", "WatchResidentAdapters"}

    def test_the_parts_hold_what_is_harmless(self) -> None:
        """Exactly these fields, in protobuf and in the domain."""
        prompt = inference_service_pb2.Prompt.DESCRIPTOR

        assert {field.name for field in generation_pb2.Sampling.DESCRIPTOR.fields} == HARMLESS
        assert {field.name for field in dataclasses.fields(Sampling)} == HARMLESS
        assert {field.name for field in prompt.fields} == {"adapter", "input", "instructions", "contract"}

    @pytest.mark.parametrize("method", GENERATING)
    def test_have_no_harmful_parameter_at_any_depth(self, method: str) -> None:
        """By the names under which other APIs have them."""
        below = list(_below(SERVICE.methods_by_name[method].input_type, set()))

        assert len(below) == 3
        assert not HARMFUL & {field.name for message in below for field in message.fields}


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")  # importing vLLM takes ten seconds, and warns
class TestEngine:
    """What is handed to vLLM."""

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=2.0, top_p=0.5, seed=3)])
    def test_differs_from_the_defaults_in_what_is_listed(self, sampling: Sampling, *, stream: bool) -> None:
        """No stop string, no bias, no second answer, no least length, whatever the call."""
        from vllm import SamplingParams

        from inference_svc.engine.vllm_engine import _sampling

        call = EngineCall("r", [1, 2], "sha256:" + "0" * 64, 40, sampling, None, "acme", stream)
        made, default = _sampling(call), SamplingParams()

        names = [name for name in SamplingParams.__struct_fields__ if not name.startswith("_")]
        different = {name for name in names if getattr(made, name) != getattr(default, name)}

        assert len(names) > 20
        assert different <= OURS
        assert made.max_tokens == 40
        assert made.n == 1
        assert not made.ignore_eos
        assert not made.min_tokens
        assert (made.stop, made.stop_token_ids) == ([], [])
        assert made.structured_outputs.regex == "goldsmith-contract:" + "0" * 64

    def test_every_harmful_parameter_of_vllm_keeps_its_default(self) -> None:
        """The two lists above do not overlap but for the contract itself, and name parameters that vLLM really has."""
        from vllm import SamplingParams

        known = set(SamplingParams.__struct_fields__)

        assert known >= OURS
        assert {"structured_outputs"} == HARMFUL & OURS
        assert len(HARMFUL & known) > 12
