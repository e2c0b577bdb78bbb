"""The kinds of values that requests mention: how each is drawn, named, described and introduced in a sentence."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from deploy.base_model.corpus import name, number, place, word
from deploy.base_model.corpus.number import Value


@dataclass(frozen=True)
class Kind:
    """One kind of value. `keys` are names a schema may give it, `cues` phrases that introduce it ({} is the value)."""

    draw: Callable[[Random], Value]
    keys: tuple[str, ...]
    description: str
    cues: tuple[str, ...]
    type: str = "string"


def _same(draw: Callable[[Random], str]) -> Callable[[Random], Value]:
    def drawn(rng: Random) -> Value:
        text = draw(rng)
        return Value(text, text)

    return drawn


def _one_of(choices: tuple[str, ...]) -> Callable[[Random], Value]:
    return _same(lambda rng: rng.choice(choices))


_OCCASIONS: Final = ("meeting", "lunch", "party", "call", "appointment", "class", "review", "concert")

KINDS: Final[dict[str, Kind]] = {
    "city": Kind(
        _same(name.city),
        ("city", "town", "location", "place", "destination"),
        "name of the city or town",
        ("in {}", "to {}", "from {}", "around {}", "for {}"),
    ),
    "country": Kind(
        _one_of(word.COUNTRIES),
        ("country", "nation", "land"),
        "country that is named",
        ("in {}", "in {}", "from {}", "of {}"),
    ),
    "state": Kind(
        _same(place.state),
        ("state", "region", "province"),
        "state or its two-letter code",
        ("in {}", ", {}", "in {}", "over in {}"),
    ),
    "person": Kind(
        _same(name.person),
        ("person", "customer", "contact", "author", "client", "passenger"),
        "full name of the person",
        ("for {}", "by {}", "with {}", "from {}"),
    ),
    "first_name": Kind(
        _same(name.first_name),
        ("first_name", "name", "friend", "assignee"),
        "given name",
        ("for {}", "with {}", "called {}"),
    ),
    "cuisine": Kind(
        _one_of(word.CUISINES),
        ("cuisine", "food_style", "kitchen"),
        "style of cooking",
        ("serving {} food", "that serves {}", "with {} food", "{} style"),
    ),
    "dish": Kind(
        _one_of(word.DISHES),
        ("dish", "served_dish", "food", "meal"),
        "dish or drink that is wanted",
        ("serving {}", "that has {}", "known for {}", "with good {}"),
    ),
    "place_kind": Kind(
        _one_of(word.PLACE_KINDS),
        ("restaurant_type", "venue_type", "kind_of_place"),
        "kind of place",
        ("at a {}", "in a {}", "at the {}"),
    ),
    "eatery": Kind(
        _same(name.eatery),
        ("restaurant_name", "venue", "restaurant"),
        "name of the restaurant",
        ("at {}", "at the {}", "called {}"),
    ),
    "facility": Kind(
        _one_of(word.FACILITIES),
        ("facility", "amenity", "feature"),
        "facility that it must have",
        ("with {}", "that has {}", "offering {}"),
    ),
    "sort": Kind(
        _one_of(word.SORTS),
        ("sort", "quality", "ranking"),
        "ranking or quality word",
        ("the {} one", "a {} one", "something {}"),
    ),
    "relation": Kind(
        _one_of(word.RELATIONS),
        ("spatial_relation", "distance", "proximity"),
        "how near the place must be",
        ("{} here", "{} me", "{} my place"),
    ),
    "poi": Kind(
        _same(place.poi),
        ("poi", "landmark", "attraction", "venue"),
        "landmark or point of interest",
        ("near {}", "at {}", "next to {}", "by {}"),
    ),
    "group": Kind(
        _one_of(word.GROUPS),
        ("party_description", "guests", "companions"),
        "who comes along, as described",
        ("for {}", "with {}"),
    ),
    "count": Kind(
        number.small_count,
        ("count", "party_size", "quantity", "people"),
        "how many",
        ("for {} people", "for {}", "for a party of {}", "{} of them"),
        "integer",
    ),
    "when": Kind(
        number.when,
        ("time_range", "when", "time", "date_time", "moment"),
        "time or date as it was said",
        ("{}", "for {}", "at {}", "on {}"),
    ),
    "date": Kind(
        number.full_date,
        ("date", "day", "due_date", "start_date", "delivery_date"),
        "the date",
        ("on {}", "by {}", "due {}", "dated {}"),
        "date",
    ),
    "clock": Kind(
        number.clock_time, ("time", "start_time", "hour"), "time of day", ("at {}", "around {}", "from {}"), "time"
    ),
    "amount": Kind(
        number.amount,
        ("amount", "price", "total", "cost", "budget"),
        "amount of money",
        ("for {}", "costing {}", "at {}", "worth {}"),
        "number",
    ),
    "big_count": Kind(
        number.big_count,
        ("number", "quantity", "units", "volume"),
        "how many units",
        ("{} units", "a quantity of {}", "with {} pieces"),
        "integer",
    ),
    "code": Kind(
        number.code,
        ("reference", "order_id", "ticket", "account", "invoice_number"),
        "reference number",
        ("number {}", "ref {}", "with id {}", "({})"),
    ),
    "song": Kind(
        _same(name.title),
        ("entity_name", "title", "track", "name"),
        "title of the song or album",
        ("called {}", "{}", "named {}", "titled {}"),
    ),
    "band": Kind(
        _same(name.band), ("artist", "performer", "musician", "band"), "performer", ("by {}", "from {}", "of {}")
    ),
    "playlist": Kind(
        _same(name.playlist),
        ("playlist", "list", "collection"),
        "name of the playlist",
        ("to {}", "on {}", "in the playlist {}", "to the {} playlist"),
    ),
    "music_item": Kind(
        _one_of(word.MUSIC_ITEMS),
        ("music_item", "item_type", "media"),
        "kind of music item",
        ("the {}", "this {}", "a {}"),
    ),
    "genre": Kind(
        _one_of(word.GENRES), ("genre", "style", "music_style"), "genre", ("in the {} genre", "of {} music", "{} style")
    ),
    "service": Kind(
        _one_of(word.SERVICES),
        ("service", "app", "platform"),
        "app or service to use",
        ("on {}", "using {}", "with {}", "via {}"),
    ),
    "owner": Kind(
        _one_of(("my", "my", "my", "our", "her", "his", "their", "mom's", "the office's")),
        ("owner", "playlist_owner"),
        "whose it is",
        ("{} own",),
    ),
    "book_kind": Kind(
        _one_of(word.BOOK_KINDS),
        ("object_type", "book_type", "medium"),
        "kind of publication",
        ("the {}", "this {}", "a {}"),
    ),
    "which": Kind(
        _one_of(("this", "current", "previous", "last", "next", "following")),
        ("object_select", "which"),
        "which one is meant",
        ("the {} one",),
    ),
    "rating": Kind(
        place.rating,
        ("rating_value", "score", "rating"),
        "rating that is given",
        ("rated {}", "a score of {}", "{} points", "a rating of {}"),
        "integer",
    ),
    "rating_unit": Kind(
        _one_of(("stars", "points", "star", "out of ten", "thumbs")),
        ("rating_unit", "unit"),
        "unit of the rating",
        ("in {}",),
    ),
    "film_kind": Kind(
        _one_of(word.FILM_KINDS), ("movie_type", "program_type"), "kind of film or show", ("the {}", "a {}")
    ),
    "cinema": Kind(
        _one_of(word.CINEMAS), ("location_name", "cinema", "theatre"), "where it is shown", ("at {}", "in {}")
    ),
    "condition": Kind(
        _one_of(word.CONDITIONS),
        ("condition", "weather", "condition_description"),
        "weather condition",
        ("with {}", "if there is {}", "in case of {}"),
    ),
    "temperature": Kind(
        _one_of(word.TEMPERATURES),
        ("temperature", "condition_temperature", "feel"),
        "temperature word",
        ("when it is {}", "if it gets {}"),
    ),
    "product": Kind(
        _same(name.product),
        ("product", "item", "article", "description"),
        "article",
        ("of {}", "for the {}", "with {}", "the {}"),
    ),
    "company": Kind(
        _same(name.company),
        ("company", "supplier", "vendor", "merchant", "customer"),
        "name of the company",
        ("from {}", "for {}", "at {}", "by {}"),
    ),
    "address": Kind(
        _same(place.address),
        ("address", "street", "ship_to", "delivery_address"),
        "postal address",
        ("to {}", "at {}", "living at {}"),
    ),
    "email": Kind(
        _same(place.email),
        ("email", "contact_email", "mail"),
        "e-mail address",
        ("at {}", "email {}", "via {}", "write to {}"),
    ),
    "phone": Kind(
        _same(place.phone),
        ("phone", "telephone", "phone_number"),
        "telephone number",
        ("at {}", "call {}", "phone {}", "tel {}"),
    ),
    "department": Kind(
        _one_of(word.DEPARTMENTS), ("department", "team", "unit"), "department", ("in {}", "for the {} team", "from {}")
    ),
    "problem": Kind(
        _one_of(word.PROBLEMS), ("problem", "issue", "symptom"), "what is wrong", ("that {}", "it {}", "because it {}")
    ),
    "color": Kind(_one_of(word.COLORS), ("color", "colour", "finish"), "colour", ("in {}", "the {} one")),
    "language": Kind(_one_of(tuple(word.LANGUAGES)), ("language", "locale"), "language", ("in {}", "speaking {}")),
    "event": Kind(
        _same(lambda rng: f"{rng.choice(word.ADJECTIVES + word.NOUNS)} {rng.choice(_OCCASIONS)}"),
        ("event_name", "event", "subject"),
        "what the event is",
        ("for the {}", "called {}", "about the {}"),
    ),
}
