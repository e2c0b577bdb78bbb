"""Invented names: people, places, titles, companies, playlists. Every function draws from the given random source."""

from random import Random

from deploy.base_model.corpus import word

_ONSETS = (
    *"bcdfghjklmnprstvwz",
    "br",
    "ch",
    "cl",
    "dr",
    "fl",
    "gr",
    "kr",
    "ph",
    "pl",
    "sh",
    "sk",
    "st",
    "th",
    "tr",
    "wh",
    "",
)
_VOWELS = (*"aeiou", "a", "e", "i", "o", "ai", "ea", "ie", "oo", "ou", "y")
_CODAS = ("", "", "", "n", "r", "l", "s", "m", "t", "d", "ck", "nd", "rn", "th", "x", "ll", "ng", "st")
_PLACE_ENDS = (
    "ton",
    "ville",
    "burg",
    "field",
    "ford",
    "land",
    "mouth",
    "port",
    "wick",
    "dale",
    "stad",
    "grad",
    "shire",
    " City",
    " Falls",
    " Springs",
    " Beach",
    " Park",
    " Hills",
    " Valley",
    " Junction",
    " Creek",
    " Lake",
    " Grove",
    " Point",
    " Heights",
)


def syllables(rng: Random, least: int = 2, most: int = 3) -> str:
    """Returns an invented lower-case word."""
    parts = [rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.randint(least, most))]
    return "".join(parts) + rng.choice(_CODAS)


def any_word(rng: Random) -> str:
    """Returns an ordinary, foreign or invented word."""
    pick = rng.random()
    if pick < 0.35:
        return rng.choice(word.NOUNS)
    if pick < 0.6:
        return rng.choice(word.ADJECTIVES)
    if pick < 0.75:
        return rng.choice(word.VERBS)
    if pick < 0.82:
        return rng.choice(word.FOREIGN)
    return syllables(rng, 1, 3)


def first_name(rng: Random) -> str:
    """Returns a given name, sometimes invented."""
    return rng.choice(word.FIRST_NAMES) if rng.random() < 0.8 else syllables(rng).capitalize()


def last_name(rng: Random) -> str:
    """Returns a family name, sometimes invented."""
    return rng.choice(word.LAST_NAMES) if rng.random() < 0.6 else syllables(rng).capitalize()


def person(rng: Random) -> str:
    """Returns a full name with the variety of real ones: initials, double names, particles."""
    pick = rng.random()
    if pick < 0.7:
        return f"{first_name(rng)} {last_name(rng)}"
    if pick < 0.78:
        return f"{first_name(rng)} {rng.choice('ABCDEFGHJKLMNPRSTW')}. {last_name(rng)}"
    if pick < 0.84:
        return f"{first_name(rng)} {rng.choice(('van', 'de', 'von', 'al', 'di', 'Mc', 'O'))} {last_name(rng)}"
    if pick < 0.92:
        return f"{first_name(rng)} {last_name(rng)}-{last_name(rng)}"
    return f"{first_name(rng)} {first_name(rng)} {last_name(rng)}"


def city(rng: Random) -> str:
    """Returns a real or an invented town."""
    pick = rng.random()
    if pick < 0.5:
        return rng.choice(word.CITIES)
    if pick < 0.8:
        return (
            (syllables(rng, 1, 2) + rng.choice(_PLACE_ENDS)).capitalize()
            if pick < 0.65
            else syllables(rng).capitalize()
        )
    if pick < 0.9:
        return f"{rng.choice(word.ADJECTIVES)} {rng.choice(word.NOUNS)}".title()
    return (
        rng.choice(("Saint", "Fort", "Mount", "Port", "New", "Old", "North", "East", "Lake", "San", "El"))
        + " "
        + last_name(rng)
    )


def title(rng: Random) -> str:
    """Returns the title of a song, book or film: one to seven words."""
    noun, adjective, verb = rng.choice(word.NOUNS), rng.choice(word.ADJECTIVES), rng.choice(word.VERBS)
    other = rng.choice(word.NOUNS)
    forms = (
        f"the {adjective} {noun}",
        f"{adjective} {noun}",
        f"{noun} and {other}",
        f"the {noun} of the {other}",
        f"{noun} in the {other}",
        f"{verb} the {noun}",
        f"{verb} me {rng.choice(('now', 'again', 'slowly', 'home', 'tonight'))}",
        f"a {noun} for {first_name(rng)}",
        f"how to {verb} a {noun}",
        f"i {verb} my {noun}",
        f"{noun}",
        f"{noun}s",
        f"{verb}ing {adjective}",
        f"the last {noun}",
        f"{noun} {rng.choice(('ii', 'iii', '2', '3', '7', '99', 'vol 1'))}",
        f"no {noun} without a {other}",
        f"when the {noun}s {verb}",
        f"{rng.choice(word.FOREIGN)} {rng.choice(word.FOREIGN)} {rng.choice(word.FOREIGN)}",
        f"{syllables(rng)}",
        f"{syllables(rng)} {syllables(rng)}",
        f"what we {verb} about {noun}s",
        f"{first_name(rng)} and the {adjective} {noun}",
        f"why do {noun}s {verb}",
        f"{adjective}, {rng.choice(word.ADJECTIVES)} {noun}",
        f"{noun} to {other}",
        f"from {noun} to {other} and back",
        f"the {noun}'s {other}",
        f"{last_name(rng)}: a {noun} of {other}s",
        f"you {verb} like a {noun}",
        " ".join(any_word(rng) for _ in range(rng.randint(2, 6))),
    )
    text = rng.choice(forms)
    return text.title().replace("'S", "'s") if rng.random() < 0.75 else text


def band(rng: Random) -> str:
    """Returns a performer: a person, a band or a stage name."""
    pick = rng.random()
    if pick < 0.5:
        return person(rng)
    noun, adjective = rng.choice(word.NOUNS), rng.choice(word.ADJECTIVES)
    forms = (
        f"The {noun.title()}s",
        f"{adjective.title()} {noun.title()}",
        f"DJ {syllables(rng).title()}",
        syllables(rng).upper(),
        first_name(rng),
        f"{first_name(rng)} & the {noun.title()}s",
        f"{syllables(rng).title()}",
        f"Lil {noun.title()}",
        f"MC {first_name(rng)}",
        f"{rng.choice('ABCDKMRSXZ')}-{syllables(rng, 1, 2).title()}",
        f"{last_name(rng)} {rng.choice(('Quartet', 'Orchestra', 'Trio', 'Brothers', 'Band'))}",
        f"{syllables(rng, 1, 2).title()} {syllables(rng, 1, 2).title()}",
    )
    return rng.choice(forms)


def playlist(rng: Random) -> str:
    """Returns the name of a playlist."""
    genre, tag, tag2 = rng.choice(word.GENRES), rng.choice(word.PLAYLIST_WORDS), rng.choice(word.PLAYLIST_WORDS)
    forms = (
        f"{tag} {genre}",
        f"{genre} {tag}",
        f"{tag} {tag2}",
        f"{rng.choice(word.ADJECTIVES)} {genre} {tag}",
        f"{rng.choice(word.NOUNS)} {tag}",
        f"{first_name(rng)}'s {tag}",
        title(rng),
        f"this is {band(rng)}",
        f"{rng.choice(word.FOREIGN)} {genre}",
        f"{syllables(rng)} {tag}",
        f"{genre} & {rng.choice(word.GENRES)} {tag}",
        f"{tag}: {genre}",
        f"the {genre} {rng.choice(word.NOUNS)}",
        f"top {rng.randint(10, 99)} {tag}",
    )
    text = rng.choice(forms)
    return text.title().replace("'S", "'s") if rng.random() < 0.5 else text


def eatery(rng: Random) -> str:
    """Returns the name of a restaurant or shop."""
    noun, adjective, kind = (
        rng.choice(word.NOUNS).title(),
        rng.choice(word.ADJECTIVES).title(),
        rng.choice(word.PLACE_KINDS).title(),
    )
    forms = (
        f"The {adjective} {noun}",
        f"{first_name(rng)}'s",
        f"{last_name(rng)}'s {kind}",
        f"{noun} & {rng.choice(word.NOUNS).title()}",
        f"{syllables(rng).title()} {kind}",
        f"{noun} House",
        f"Casa {syllables(rng).title()}",
        f"Le {rng.choice(word.FOREIGN).title()}",
        f"{adjective} {noun} {kind}",
        syllables(rng).title(),
        f"{last_name(rng)} {rng.choice(('Bros', 'Tavern', 'Kitchen', 'Room', 'Hotel', 'Inn'))}",
        f"{rng.choice(word.CUISINES).title()} {noun}",
    )
    return rng.choice(forms)


def company(rng: Random) -> str:
    """Returns the name of a company."""
    stem = rng.choice(
        (
            last_name(rng),
            syllables(rng).title(),
            rng.choice(word.NOUNS).title(),
            f"{last_name(rng)} & {last_name(rng)}",
            f"{rng.choice(word.ADJECTIVES).title()} {rng.choice(word.NOUNS).title()}",
            syllables(rng, 1, 2).upper(),
            city(rng),
        )
    )
    text = stem
    if rng.random() < 0.75:
        text += " " + rng.choice(word.COMPANY_WORDS)
    if rng.random() < 0.6:
        text += " " + rng.choice(word.COMPANY_ENDS)
    return text


def product(rng: Random) -> str:
    """Returns an article as it stands on an order line."""
    text = rng.choice(word.PRODUCTS)
    pick = rng.random()
    if pick < 0.2:
        text = f"{rng.choice(word.COLORS)} {text}"
    elif pick < 0.35:
        text = f"{syllables(rng).title()} {text}"
    elif pick < 0.5:
        text = f"{text} {rng.choice(('XL', 'Pro', 'A4', '500ml', '2m', '10kg', 'Mk II', 'large', 'mini', '12-pack'))}"
    elif pick < 0.58:
        text = f"{rng.choice(word.ADJECTIVES)} {rng.choice(word.NOUNS)}"
    return text.capitalize() if rng.random() < 0.4 else text
