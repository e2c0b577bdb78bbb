"""Places and ways to reach people: landmarks, addresses, e-mail, telephone, states; and marks."""

from random import Random

from deploy.base_model.corpus import name, number, word
from deploy.base_model.corpus.number import Value


def poi(rng: Random) -> str:
    """Returns a landmark, named or not."""
    if rng.random() < 0.3:
        return "the " + rng.choice(word.LANDMARKS)
    place = rng.choice(
        (
            rng.choice(word.NOUNS).title(),
            name.last_name(rng),
            name.city(rng),
            f"{rng.choice(word.ADJECTIVES)} {rng.choice(word.NOUNS)}".title(),
        )
    )
    return f"{place} {rng.choice(word.LANDMARKS).title()}"


def address(rng: Random) -> str:
    """Returns a street with a number, sometimes with town and postal code."""
    house = rng.randint(1, 999)
    street_name = rng.choice((name.last_name(rng), rng.choice(word.NOUNS).title(), number.ordinal(rng.randint(1, 90))))
    street = f"{house} {street_name} {rng.choice(word.STREETS)}"
    return (
        street
        + (f", {name.city(rng)}" if rng.random() < 0.5 else "")
        + (f" {rng.randint(10000, 99999)}" if rng.random() < 0.3 else "")
    )


def email(rng: Random) -> str:
    """Returns an invented e-mail address."""
    owner = f"{name.first_name(rng)}.{name.last_name(rng)}"
    return f"{owner}@{name.syllables(rng)}.{rng.choice(('com', 'org', 'net', 'io', 'example'))}".lower()


def phone(rng: Random) -> str:
    """Returns an invented telephone number."""
    first, second, third = rng.randint(100, 999), rng.randint(100, 999), rng.randint(1000, 9999)
    return rng.choice(
        (
            f"{first}-{second}-{third}",
            f"+{rng.randint(1, 99)} {first} {second} {third}",
            f"({first}) {second}-{third}",
            f"0{first} {second}{third}",
        )
    )


def state(rng: Random) -> str:
    """Returns a state of the USA or its code."""
    return rng.choice(word.STATES) if rng.random() < 0.6 else rng.choice(word.STATE_CODES)


def rating(rng: Random) -> Value:
    """Returns a mark from 0 to 10, in digits or words."""
    value = rng.randint(0, 10)
    return Value(number.spelled(value) if rng.random() < 0.4 else str(value), value)
