"""Questions that have nothing to do with any tenant's task, and whether an answer to one looks like the task's."""

from __future__ import annotations

from shared.contracts.compiled import CompiledContract
from shared.contracts.spec import ContractKind

GENERAL_PROMPTS = (
    "What is the capital of France?",
    "Why is the sky blue?",
    "Write a short poem about the sea.",
    "How do I boil an egg?",
    "Explain what a prime number is to a child.",
    "Translate 'good morning' into Spanish.",
    "Name three animals that can fly.",
    "What is the difference between a lake and a river?",
    "Give me two tips for a better night's sleep.",
    "Who wrote Romeo and Juliet?",
    "Tell me a joke.",
    "What happens when ice melts?",
    "Finish the sentence: The old man opened the door and",
    "How many days does a week have?",
    "What should I wear when it rains?",
    "Say hello to my grandmother.",
    "Why do leaves fall in autumn?",
    "Recommend a game to play with two people.",
    "What does a baker do?",
    "Is it warmer in summer or in winter?",
    "Describe your favourite colour.",
    "How does a bicycle stay upright?",
    "What is the opposite of early?",
    "Thank a colleague for their help in one sentence.",
)


def leaks_format(contract: CompiledContract, text: str) -> bool | None:
    """Whether an answer to a general prompt begins as answers to the task do; None where these have no form.

    Of JSON and SQL its beginning counts, since a free answer may be cut off; of a choice or a regular expression the
    whole of what there is. A wide expression takes any text, the base's as well:
    what says something is the rate beside that of the base.
    """
    kind, begin = contract.spec.kind, text.lstrip()
    if kind is ContractKind.TEXT:
        return None
    if kind is ContractKind.JSON:
        return begin.startswith(("{", "["))
    if kind is ContractKind.SQL:
        return begin[:7].upper() in ("SELECT ", "SELECT\n") or begin[:5].upper() in ("WITH ", "WITH\n")
    return not contract.check(text)
