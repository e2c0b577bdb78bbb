"""`python -m tests.bench evaluation_savings`: the balance of an adapter against one by hand.

BookRestaurant, with an instruction prompt of 1,000 tokens: its rows are answered by a replica, whose engine is in
memory, and which reports to a trainer over a socket. The hand calculation knows the rows, the tokenizer's file and the
tariff, and shares no code with either service: prompts are rendered by the template's text, amounts are fractions.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from jinja2 import Environment
from tokenizers import Tokenizer

from goldsmith.trainer.v1 import economics_pb2
from shared.base_model import BaseModel
from shared.contracts.check import canonicalise
from shared.contracts.spec import ContractKind, ContractSpec
from shared.prompt import PromptRenderer
from tests.bench.gate_set import DATA
from tests.bench.result import Figures, in_folder, report
from tests.economics_house import EconomicsHouse, Tariff, open_economics
from tests.unit.inference_svc.conftest import ADAPTER

BASE = Path(__file__).parents[2] / "deploy" / "base_model" / "weights"
INSTRUCTION_TOKENS = 1000
OWN_INSTRUCTIONS = "Answer in JSON."
OWN_COUNT = 7
"""Requests that bring instructions of their own, and save nothing."""
CACHED_TOKENS = 5
"""Of each prompt."""
OUTPUT_SAVED = 12.345
"""Tokens a request, as an evaluation would have measured them."""
TARIFF = Tariff(run_seconds=1234.567891, hour=0.87, answer="0.0015", answer_count=421)


@dataclass(frozen=True)
class Rows:
    """Held out inputs with their canonical outputs."""

    spec: ContractSpec
    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def load(cls, data: Path) -> Rows:
        """BookRestaurant."""
        folder = data / "snips"
        spec = ContractSpec(ContractKind.JSON, json_schema=(folder / "BookRestaurant.schema.json").read_text())
        lines = (folder / "BookRestaurant.holdout.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        return cls(spec, tuple((row["input"], canonicalise(spec, row["output"])) for row in rows))


class Hand:
    """Counts as a person with the tokenizer's file would: the rendered text as a whole."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        config = json.loads((folder / "tokenizer_config.json").read_text())
        self._template = Environment(trim_blocks=True, lstrip_blocks=True).from_string(config["chat_template"])

    def tokens(self, text: str) -> int:
        """Of a text."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def prompt_tokens(self, text: str, instructions: str = "") -> int:
        """Of a whole prompt."""
        system = [{"role": "system", "content": instructions}] if instructions else []
        messages = [*system, {"role": "user", "content": text}]
        return self.tokens(self._template.render(messages=messages, add_generation_prompt=True))

    def instructions(self, words: str) -> str:
        """A prompt of exactly 1,000 tokens: the words as often as they fit, then what makes it longer by one each."""
        text = words
        while self.tokens(f"{text}\n{words}") <= INSTRUCTION_TOKENS:
            text = f"{text}\n{words}"
        while (size := self.tokens(text)) < INSTRUCTION_TOKENS:
            text += next(end for end in (".", "\n", "!", "?", "a") if self.tokens(text + end) == size + 1)
        return text


def measure() -> Figures:
    """`savings_mismatch` counts figures of the RPC that are not those by hand; of 0 is all there is to say."""
    return in_folder(_measure)


async def _measure(folder: Path) -> Figures:
    rows, hand, base = Rows.load(DATA), Hand(BASE), BaseModel.load(BASE)
    names = ", ".join(json.loads(rows.spec.json_schema)["properties"])
    instructions = hand.instructions(f"Read the request and fill in {names}; copy every value as it is written.")
    async with open_economics(base, folder, TARIFF) as house:
        await _serve(house, rows, _measured_by_the_trainer(base, rows, instructions))
        found = await house.read(lambda client: client.savings(ADAPTER))
        now = datetime.now(UTC)
    expected = _by_hand(hand, rows, instructions, found, now)
    told = _told(found)
    wrong = {name: (told[name], value) for name, value in expected.items() if told[name] != value}
    return {
        "savings_figures": len(expected),
        "savings_mismatch": len(wrong),
        "savings_wrong": str(wrong or "none"),
        "savings_requests": found.counts.answered_request_count,
        "savings_instruction_tokens": found.counts.saved_instruction_token_count,
        "savings_money": f"{found.saving} {found.currency}",
        "savings_cost": f"{Decimal(found.training_cost) + Decimal(found.labelling_cost)} {found.currency}",
        "savings_break_even_requests": found.break_even.request_count,
    }


def _measured_by_the_trainer(base: BaseModel, rows: Rows, instructions: str) -> int:
    """As `trainer_svc.engine.pipeline` does."""
    renderer = PromptRenderer.load(base)
    plain = [len(renderer.prompt_ids(text)) for text, _ in rows.pairs]
    instructed = [len(renderer.prompt_ids(text, instructions)) for text, _ in rows.pairs]
    return round(sum(instructed) / len(instructed) - sum(plain) / len(plain))


async def _serve(house: EconomicsHouse, rows: Rows, instruction_tokens: int) -> None:
    """Every row once, some again with instructions of their own, and one to the base model; then the report."""
    replica = await house.add_replica(
        instruction_tokens=instruction_tokens, output_tokens_saved=OUTPUT_SAVED, spec=rows.spec, context_tokens=1024
    )
    engine, renderer = replica.replica.engine, replica.replica.renderer
    engine.cached_tokens = CACHED_TOKENS
    asked = [*((text, output, "") for text, output in rows.pairs)]
    asked += [(text, output, OWN_INSTRUCTIONS) for text, output in rows.pairs[:OWN_COUNT]]
    for text, output, own in asked:
        engine.script = [renderer.completion_ids(output)]
        await replica.ask(text, instructions=own)
    engine.script = [renderer.completion_ids(rows.pairs[0][1])]
    await replica.ask(rows.pairs[0][0], adapter="")
    await replica.keeper.report()


def _by_hand(
    hand: Hand, rows: Rows, instructions: str, found: economics_pb2.Savings, now: datetime
) -> dict[str, Fraction]:
    asked = [(text, output, "") for text, output in rows.pairs]
    asked += [(text, output, OWN_INSTRUCTIONS) for text, output in rows.pairs[:OWN_COUNT]]
    answered = len(asked)
    prompt = sum(hand.prompt_tokens(text, own) for text, _, own in asked)
    cached = CACHED_TOKENS * answered
    output = sum(hand.tokens(text) + 1 for _, text, _ in asked)
    spared = sum(hand.prompt_tokens(text, instructions) - hand.prompt_tokens(text) for text, _ in rows.pairs)
    p, c, o = (Fraction(price) for price in (TARIFF.prompt, TARIFF.cached, TARIFF.output))
    instruction_saving = spared * c / 10**6
    output_saving = Fraction(str(OUTPUT_SAVED)) * len(rows.pairs) * o / 10**6
    saving = instruction_saving + output_saving
    exact = Fraction(str(TARIFF.run_seconds)) * Fraction(str(TARIFF.hour)) / 3600
    training = Fraction(math.floor(exact * 10**6 + Fraction(1, 2)), 10**6)
    labelling = TARIFF.answer_count * Fraction(TARIFF.answer)
    requests = math.ceil((training + labelling) / (saving / answered))
    hours = int(now.timestamp()) // 3600 - found.start_time.seconds // 3600 + 1
    return {
        "answered": Fraction(answered),
        "prompt": Fraction(prompt),
        "output": Fraction(output),
        "spared": Fraction(spared),
        "serving_cost": ((prompt - cached) * p + cached * c + output * o) / 10**6,
        "instruction_saving": instruction_saving,
        "output_saving": output_saving,
        "saving": saving,
        "training_cost": training,
        "labelling_cost": labelling,
        "net": saving - training - labelling,
        "break_even_requests": Fraction(requests),
        "break_even_days": Fraction(math.ceil((requests - answered) / Fraction(answered * 24, hours))),
    }


def _told(found: economics_pb2.Savings) -> dict[str, Fraction]:
    amounts = (
        "serving_cost",
        "instruction_saving",
        "output_saving",
        "saving",
        "training_cost",
        "labelling_cost",
        "net",
    )
    counts = {
        "answered": found.counts.answered_request_count,
        "prompt": found.counts.prompt_token_count,
        "output": found.counts.output_token_count,
        "spared": found.counts.saved_instruction_token_count,
        "break_even_requests": found.break_even.request_count,
        "break_even_days": found.break_even.day_count,
    }
    return {name: Fraction(count) for name, count in counts.items()} | {
        name: Fraction(getattr(found, name)) for name in amounts
    }


def main() -> None:
    """Entry point."""
    report("evaluation_savings", measure())
