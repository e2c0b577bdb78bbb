"""Copying: repeat a text, or some words of it. The curriculum begins with this; extraction rests on it."""

from random import Random

from deploy.base_model.corpus import name
from deploy.base_model.corpus.example import Example, canonical_json


def copy_example(rng: Random) -> Example:
    """Returns "repeat this": all of the text, a few words of it, or all of it as JSON."""
    text = " ".join(
        name.any_word(rng) if rng.random() < 0.8 else str(rng.randint(0, 99999)) for _ in range(rng.randint(2, 24))
    )
    if rng.random() < 0.3:
        text = text.title()
    pick = rng.random()
    if pick < 0.6:
        return Example("copy", text, text, system="repeat", copied=(text,))
    words = text.split()
    if pick < 0.8:
        start, more = rng.randrange(len(words)), rng.randint(1, 4)
        part = " ".join(words[start : start + more + 1])
        return Example("copy", text, part, system=f"repeat {more + 1} words from {words[start]}", copied=(part,))
    return Example("copy", text, canonical_json({"text": text}), system="repeat as JSON", copied=(text,))
