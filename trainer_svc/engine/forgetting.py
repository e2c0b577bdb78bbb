"""Measures what an adapter did to its base on text and questions that have nothing to do with its task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pydoc_data import topics
from typing import Any

import torch

from shared.digest import hex_part, sha256_bytes
from shared.prompt import PromptRenderer
from trainer_svc.domain.forgetting import BenchmarkScore, Forgetting
from trainer_svc.domain.measure import Measure
from trainer_svc.engine.served import Server
from trainer_svc.evaluation.benchmark import Benchmark, is_right
from trainer_svc.evaluation.general_prompt import GENERAL_PROMPTS, leaks_format
from trainer_svc.evaluation.interval import rate

_CHUNKS, _CHUNK_TOKENS = 24, 256
"""Pieces of English text that every Python brings: the manual's topics. 6,000 tokens tell a loss to about 0.02 nats."""
_LEAK_TOKENS = 24
_BENCHMARK_TOKENS = 64


class ForgettingGauge:
    """Measures adapters of one base; what the base alone answers is measured once."""

    def __init__(self, server: Server, benchmarks: Sequence[Benchmark]) -> None:
        self._server, self._benchmarks = server, benchmarks
        questions = repr(benchmarks).encode() if benchmarks else b""
        self.mark = f"-{hex_part(sha256_bytes(questions))[:12]}" if benchmarks else ""
        """Of the benchmarks, in the names of what was measured with them; empty without any."""
        self._of_base: tuple[Measure | None, list[Measure]] | None = None

    def measure(self, model: Any) -> Forgetting:  # a PEFT model, with the adapter to be measured switched on
        """Of the adapter that is switched on; takes two passes over some pages of text, and some dozen answers."""
        with model.disable_adapter():
            if self._of_base is None:
                self._of_base = self._answered(model)
        base_leaks, base_scores = self._of_base
        leaks, scores = self._answered(model)
        base_loss, loss, divergence, count = _losses(model, self._server.renderer, self._server.stop_if_asked)
        return Forgetting(
            base_cross_entropy=base_loss,
            cross_entropy=loss,
            kl_divergence=divergence,
            text_token_count=count,
            leaked_format_rate=leaks,
            base_leaked_format_rate=base_leaks,
            benchmarks=tuple(
                BenchmarkScore(benchmark.name, len(benchmark.questions), base, own)
                for benchmark, base, own in zip(self._benchmarks, base_scores, scores, strict=True)
            ),
        )

    def _answered(self, model: Any) -> tuple[Measure | None, list[Measure]]:
        """Rate of leaks, and of right answers to each benchmark."""
        texts = self._server.free_texts(model, GENERAL_PROMPTS, _LEAK_TOKENS)
        leaks = [leaks_format(self._server.contract, text) for text in texts]
        known = [leak for leak in leaks if leak is not None]
        scores = [self._score(model, benchmark) for benchmark in self._benchmarks]
        return (rate(sum(known), len(known)) if known else None), scores

    def _score(self, model: Any, benchmark: Benchmark) -> Measure:
        prompts = [question.prompt for question in benchmark.questions]
        texts = self._server.free_texts(model, prompts, _BENCHMARK_TOKENS)
        right = [is_right(question, text) for question, text in zip(benchmark.questions, texts, strict=True)]
        return rate(sum(right), len(right))


@torch.inference_mode()
def _losses(model: Any, renderer: PromptRenderer, stop_if_asked: Callable[[], None]) -> tuple[float, float, float, int]:
    """Cross entropy of the base and of the adapter, and KL(base || adapter), each a mean per token; and the tokens."""
    base_total = total = divergence = 0.0
    count = 0
    for chunk in _chunks(renderer):
        stop_if_asked()
        ids = torch.tensor([chunk], device=model.device)
        with model.disable_adapter():
            base = model(input_ids=ids, use_cache=False).logits[0, :-1].float().log_softmax(-1)
        own = model(input_ids=ids, use_cache=False).logits[0, :-1].float().log_softmax(-1)
        targets = ids[0, 1:, None]
        base_total -= float(base.gather(1, targets).sum())
        total -= float(own.gather(1, targets).sum())
        divergence += float((base.exp() * (base - own)).sum())
        count += len(targets)
    return base_total / count, total / count, divergence / count, count


def _chunks(renderer: PromptRenderer) -> Iterator[list[int]]:
    """The beginnings of the manual's longest topics; the same for each adapter, as long as Python's version is."""
    begin = [] if renderer.bos_id is None else [renderer.bos_id]
    names = sorted(topics.topics, key=lambda name: (-len(topics.topics[name]), name))[:_CHUNKS]
    for name in names:
        # A token has fewer than eight bytes of English text on average: no more needs to be tokenized.
        yield [*begin, *renderer.completion_ids(topics.topics[name][: 8 * _CHUNK_TOKENS])[:_CHUNK_TOKENS]]
