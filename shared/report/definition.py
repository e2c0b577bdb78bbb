"""What each figure means, in a sentence for people who own the data and know no machine learning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PARTS = ("value", "low", "high", "difference")
"""Of a measure or a comparison: what these are of stands before them."""


@dataclass(frozen=True)
class Definition:
    """A term of the page."""

    term: str
    meaning: str


DEFINITIONS: Mapping[str, Definition] = {
    "task_metric": Definition(
        "Task metric",
        "The one figure that adapters are compared by: result match for SQL that can be run, ROUGE-L for text, else the"
        " mean of exact match and fields right.",
    ),
    "exact_match": Definition(
        "Exact match",
        "Share of answers equal to the golden output; the order of keys and the spelling of numbers do not count.",
    ),
    "field_f1": Definition(
        "Fields right (F1)",
        "Each single value of an answer counts: twice the values that are right, over the values of the answers and of"
        " the golden outputs together. Of SQL the values are its words and signs, of text its words.",
    ),
    "field_precision": Definition("Precision", "Share of the values in answers that are right."),
    "field_recall": Definition("Recall", "Share of the values in golden outputs that answers have right."),
    "f1": Definition("Fields right (F1)", "As above, of this field alone."),
    "schema_valid": Definition("Keeps the format", "Share of answers that keep the output contract."),
    "parse_rate": Definition("Parses", "Share of answers that are one SELECT statement of the dialect."),
    "execution_match": Definition(
        "Result match",
        "Share of statements with the same result as the golden one, on the dataset's database and on several made"
        " from its tables.",
    ),
    "rouge_l": Definition("ROUGE-L", "Likeness of two texts by their longest common run of words, from none to full."),
    "filler_rate": Definition("Text around it", "Share of answers with text before or after what was asked for."),
    "own_stop_rate": Definition(
        "Ends by itself", "Share of answers that the model ended itself, before its tokens were spent."
    ),
    "output_tokens": Definition("Answer length", "Mean length of an answer in tokens, which are pieces of words."),
    "matched": Definition("Right", "Values equal in answer and golden output."),
    "omitted": Definition("Missing", "Values of golden outputs that answers lack."),
    "invented": Definition("Invented", "Values of answers that golden outputs lack."),
    "mismatched": Definition("Different", "Values that both have, but not the same."),
    "p_value": Definition(
        "p", "How often chance alone would show a difference at least as large, were both equally good."
    ),
    "holdout_loss": Definition(
        "Held-out loss", "How surprised the adapter is by golden outputs that it never saw, in nats per token; less is"
        " better."
    ),
    "train_loss": Definition(
        "Training loss", "How surprised the adapter is by the golden outputs that it learns from, in nats per token;"
        " less is better."
    ),
    "step": Definition("Step", "One update of the adapter, from one batch of examples."),
    "base_cross_entropy": Definition(
        "Surprise, base", "How surprised the base model is by general English text, in nats per token."
    ),
    "cross_entropy": Definition(
        "Surprise, adapter", "How surprised the base model with the adapter is by the same text, in nats per token."
    ),
    "kl_divergence": Definition(
        "Change of behaviour (KL)",
        "How far the next word that is expected in general text has moved from the base model's, in nats per token;"
        " nought is not at all.",
    ),
    "leaked_format_rate": Definition(
        "Format leaks", "Share of general questions that are answered in the form of the task's answers."
    ),
    "base_leaked_format_rate": Definition("Format leaks, base", "The same share for the base model alone."),
    "instruction_prompt_tokens": Definition(
        "Prompt with instructions", "Mean tokens of a request that carries the instruction prompt."
    ),
    "adapter_prompt_tokens": Definition("Prompt of the adapter", "Mean tokens of a request as the adapter gets it."),
    "row_count": Definition("Rows", "Held-out rows that were answered."),
    "holdout_count": Definition("Held out", "Rows that were kept from training, to be answered afterwards."),
    "train_count": Definition("Trained on", "Rows that the adapter learned from."),
    "invalid_count": Definition("Left out", "Rows that cannot be used: they do not parse or break the contract."),
    "split_seed": Definition("Split seed", "Number that chose which rows are held out, where no row says so itself."),
}  # fmt: skip
"""By the name of the field."""


def definition_of(path: str) -> str:
    """Term and meaning of the field at the end of a path; empty for one that explains itself."""
    names = [name for name in re.sub(r"\[[^\]]*\]", "", path).split(".") if name not in _PARTS]
    found = DEFINITIONS.get(names[-1]) if names else None
    return f"{found.term}: {found.meaning}" if found else ""
