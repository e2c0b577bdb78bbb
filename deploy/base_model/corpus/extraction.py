"""Extraction from short requests: a sentence, a schema described in words, and the JSON record that it holds."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from deploy.base_model.corpus import name, word
from deploy.base_model.corpus.domain import CLOSED, DOMAINS, Domain
from deploy.base_model.corpus.example import Example, canonical_json
from deploy.base_model.corpus.kind import KINDS
from deploy.base_model.corpus.number import Value
from deploy.base_model.corpus.schema import Field, describe
from deploy.base_model.corpus.template import expand

_VERBS = (
    "find",
    "show",
    "get",
    "make",
    "send",
    "check",
    "create",
    "update",
    "open",
    "start",
    "i need",
    "i want",
    "we need",
    "look for",
    "record",
    "note",
    "please arrange",
    "tell me about",
    "what about",
    "is there",
    "prepare",
    "register",
    "change",
    "cancel",
    "confirm",
    "list",
)
_OPENERS = (
    "",
    "",
    "",
    "",
    "hi, ",
    "hello ",
    "ok ",
    "please ",
    "hey ",
    "so ",
    "good morning. ",
    "dear team, ",
    "fyi: ",
    "quick one: ",
)
_CLOSERS = ("", "", "", "", "", ".", ".", "!", " please", " thanks", " asap", "?", ", thank you.")


@dataclass
class Sentence:
    """A sentence with the values that it mentions, by role, in schema order."""

    domain: Domain
    text: str
    values: dict[str, Value] = field(default_factory=dict)


def draw_kind(rng: Random, kind: str) -> Value:
    """Returns a value of an open kind or of a closed set of words."""
    if kind in CLOSED:
        text = rng.choice(CLOSED[kind])
        return Value(text, text)
    return KINDS[kind].draw(rng)


def _casing(rng: Random) -> Callable[[str], str]:
    pick = rng.random()
    if pick < 0.42:
        return str.lower
    if pick < 0.5:
        return str.upper if pick < 0.44 else str.title
    return str


def compose(rng: Random, domain: Domain) -> Sentence:
    """Returns a sentence of the domain; every value that it records occurs in it."""
    while True:
        values: dict[str, Value] = {}

        def fill(role: str) -> str:
            kind = domain.fields.get(role, role)
            if role not in values:  # noqa: B023 - called only within this turn of the loop
                values[role] = draw_kind(rng, kind)  # noqa: B023
            return values[role].surface  # noqa: B023

        case = _casing(rng)
        text = case(rng.choice(_OPENERS) + expand(rng.choice(domain.templates), rng, fill) + rng.choice(_CLOSERS))
        cased = {
            role: Value(
                case(value.surface),
                case(value.normal) if value.normal == value.surface and isinstance(value.normal, str) else value.normal,
            )
            for role, value in values.items()
            if role in domain.fields
        }
        if cased and len(text) < 400 and all(value.surface in text for value in cased.values()):
            if (
                rng.random() < 0.3
                and text[0].islower()
                and not any(value.surface.startswith(text[:2]) for value in cased.values())
            ):
                text = text[0].upper() + text[1:]
            return Sentence(domain, text, {role: cased[role] for role in domain.fields if role in cased})


def made_up_domain(rng: Random) -> Domain:
    """Returns a domain that exists only in this document: a verb, a thing and two to five kinds with their cues."""
    kinds = rng.sample(sorted(KINDS), rng.randint(2, 5))
    parts = []
    for kind in kinds:
        cue = rng.choice(KINDS[kind].cues).replace("{}", "{" + kind + "}")
        parts.append(cue if rng.random() < 0.7 else f"[{cue}]")
    thing = rng.choice(
        (
            f"the {rng.choice(word.NOUNS)}",
            f"a {rng.choice(word.ADJECTIVES)} {rng.choice(word.NOUNS)}",
            f"{rng.choice(word.NOUNS)}s",
            f"my {rng.choice(word.NOUNS)}",
            "",
        )
    )
    order = "<" + ";".join(parts) + ">"
    template = rng.choice(
        (f"{rng.choice(_VERBS)} {thing} {order}", f"{order} {rng.choice(_VERBS)} {thing}", f"{thing} {order}")
    )
    ordered = {kind: kind for kind in KINDS if kind in kinds}
    return Domain("request", f"requests about {thing or 'anything'}", ordered, (template,))


def labelled_domain(rng: Random) -> tuple[Domain, dict[str, Value], str]:
    """Returns a record of arbitrary words under arbitrary labels: all there is to learn is which belongs to which."""
    labels = rng.sample(word.NOUNS, rng.randint(2, 6))
    values = {}
    for label in labels:
        text = " ".join(name.any_word(rng) for _ in range(rng.choice((1, 1, 2, 2, 3, 4))))
        value = (
            Value(text, text)
            if rng.random() < 0.7
            else draw_kind(rng, rng.choice(("city", "person", "code", "amount", "song", "company", "when")))
        )
        values[label] = Value(value.surface, value.surface)
    joint, end = rng.choice(
        (
            (" is ", ", "),
            (": ", "; "),
            (" = ", ", "),
            (" ", ", "),
            (": ", "\n"),
            (" - ", "\n"),
            (" was ", " and the "),
            ("=", " | "),
        )
    )
    shown = labels[:]
    rng.shuffle(shown)
    lead = "the " if " the " in end else ""
    text = lead + end.join(f"{label}{joint}{values[label].surface}" for label in shown)
    return Domain("record", "records", {label: label for label in labels}, ()), values, text


def schema_of(rng: Random, domain: Domain, *, canonical: bool) -> dict[str, Field]:
    """Returns the field that each role of the domain fills; a canonical one has the roles' own names, all strings."""
    fields: dict[str, Field] = {}
    taken: set[str] = set()
    camel = rng.random() < 0.2
    for role, kind in domain.fields.items():
        known = KINDS.get(kind)
        key = role
        if not canonical and rng.random() < 0.6:
            key = rng.choice(known.keys) if known and role == kind else role
            if rng.random() < 0.06:
                key = rng.choice(word.NOUNS)
        if key in taken:
            key = f"{role}_{len(taken)}"
        taken.add(key)
        if camel and not canonical:
            head, *tail = key.split("_")
            key = head + "".join(part.title() for part in tail)
        kind_type = known.type if known and not canonical and rng.random() < 0.6 else "string"
        about = known.description if known else f"the {role.replace('_', ' ')}"
        if known and role != kind:
            about = f"the {role.replace('_', ' ')} ({about})"
        fields[role] = Field(key, kind_type, about, CLOSED.get(kind, ()) if rng.random() < 0.7 else ())
    return fields


def record_of(rng: Random, sentence: Sentence, fields: dict[str, Field]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Returns the record and the values in it that are copied from the sentence."""
    record: dict[str, object] = {}
    copied: list[str] = []
    for role, spec in fields.items():
        value = sentence.values.get(role)
        if value is None:
            continue
        if spec.type == "string":
            record[spec.key] = value.surface
            copied.append(value.surface)
        else:
            record[spec.key] = value.normal
    return record, tuple(copied)


def sentence_example(rng: Random, domain: Domain, fields: dict[str, Field]) -> Example:
    """Returns one example (without instructions) of a fixed schema over a domain."""
    sentence = compose(rng, domain)
    record, copied = record_of(rng, sentence, fields)
    return Example("extract", sentence.text, canonical_json(record), copied=copied)


def plain_example(rng: Random) -> Example:
    """Returns extraction without instructions: the domain's conventional keys, values as they stand."""
    domain = rng.choice(DOMAINS) if rng.random() < 0.75 else made_up_domain(rng)
    return replace(sentence_example(rng, domain, schema_of(rng, domain, canonical=True)), task="extract_plain")


def described_example(rng: Random) -> Example:
    """Returns extraction with a short description of the schema, which may name the keys as it likes."""
    pick = rng.random()
    if pick < 0.15:
        domain, values, text = labelled_domain(rng)
        sentence = Sentence(domain, text, values)
    else:
        domain = rng.choice(DOMAINS) if pick < 0.6 else made_up_domain(rng)
        sentence = compose(rng, domain)
    fields = schema_of(rng, domain, canonical=False)
    if rng.random() < 0.4:
        kept = set(rng.sample(sorted(fields), rng.randint(1, len(fields))))
        fields = {role: spec for role, spec in fields.items() if role in kept}
    if rng.random() < 0.3:
        roles = list(fields)
        rng.shuffle(roles)
        fields = {role: fields[role] for role in roles}
    record, copied = record_of(rng, sentence, fields)
    system, shaped = describe(rng, domain.purpose, list(fields.values()), record)
    return Example("extract_schema", sentence.text, canonical_json(shaped), system, copied)
