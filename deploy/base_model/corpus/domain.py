"""Hand-written request domains: the fields of each and the sentences in which people mention them."""

# ruff: noqa: E501 - one sentence pattern a line; broken in two they could not be read

from dataclasses import dataclass
from typing import Final

_PLEASE: Final = "[please |can you |could you |hey, |i want to |i'd like to |i need to |let's |would you ]"


@dataclass(frozen=True)
class Domain:
    """One kind of request. `fields` maps a key to its kind of value; the order is the schema's order."""

    name: str
    purpose: str
    fields: dict[str, str]
    templates: tuple[str, ...]


def _fields(text: str) -> dict[str, str]:
    pairs = (part.split(":") if ":" in part else (part, part) for part in text.split())
    return {pair[0]: pair[1] for pair in pairs}


DOMAINS: Final[tuple[Domain, ...]] = (
    Domain(
        "table",
        "reservation requests",
        _fields("place_kind eatery cuisine dish facility sort relation poi city state country count group when"),
        (
            _PLEASE
            + "(book|reserve|get|find|make) [me ](a table|a spot|a reservation|seats|{place_kind}|a {sort} {place_kind}|a {place_kind}) <[at {eatery}|at a {sort} {place_kind}|at a {cuisine} {place_kind}|that serves {dish}|with {facility}];(in|near|for) (a place {relation} {poi}|{city}|{city}, {state}|{city} {country}|{state}|{country});[for {count}[ people]|for {group}|for a party of {count}];[{when}|at {when}|on {when}]>[.]",
            "(i need|we need|i want|give me) (a table|reservations|somewhere to eat|a {place_kind}) <[for {count} (people|guests|persons)|for {group}];[in {city}|in {state}|{relation} {poi}|in {country}];[that (serves|has) {dish}|with {facility}|serving {cuisine} food];[{when}|at {when}]>",
            "(what|where)('s| is) (a|the) {sort} {place_kind} <(in {city}|{relation} {poi}|in {city} {state});[with {facility}|for {cuisine} food|that serves {dish}];[for {count}|for {group}]>[?]",
            "{place_kind} in {city} [{state} ][for {count} ][that is {sort} ][and has {facility} ][{when}]",
            "<{group} (want|would like|need) (to eat at|a table at) (a {sort} {place_kind}|{eatery}|a {place_kind});[in {city}|in {country}|{relation} {poi}];[{when}]>",
            "(eat|dine|have (lunch|dinner|brunch|breakfast)) <at {eatery};[in {city}[, {state}]];[with {group}|for {count}];[{when}]>",
        ),
    ),
    Domain(
        "playlist",
        "requests to change a playlist",
        _fields("song band music_item playlist owner"),
        (
            _PLEASE
            + "(add|put|include|insert|throw|save|place) ({song}|{song} by {band}|the {music_item} {song}|{band}|a {music_item} by {band}|this {music_item}|the {music_item}|another {music_item} [by {band}]|{band}'s {song}|some {band}) (to|in|into|on|onto|to the|inside) ({owner} {playlist}[ playlist]|{playlist}|the {playlist} playlist|the playlist {playlist}|{owner} playlist (called|named|titled) {playlist}|{owner} {playlist} (list|collection))[.| now| please]",
            "(i want|i'd like|we need) ({band}|{song}|a {music_item} by {band}|{song} by {band}) (added to|on|in|to be in) ({owner} {playlist}|the {playlist}|{playlist}) [playlist]",
            "{owner} {playlist} playlist needs (more {band}|{song}|{song} by {band}|a {music_item} from {band})[ added][ to it]",
            "(for|in) {owner} {playlist} [playlist ](add|include) ({song}|the {music_item} {song}|{band})",
        ),
    ),
    Domain(
        "music",
        "requests to play music",
        _fields("song band music_item genre service when playlist"),
        (
            _PLEASE
            + "(play|put on|start|stream|listen to|hear) ({song}|{song} by {band}|some {genre}|{genre} music|the {music_item} {song}|{band}|a {music_item} by {band}|{owner_} {playlist} playlist) <[on {service}|using {service}|via {service}];[from {when}|{when}]>",
            "(use|open) {service} (to play|and play) ({song}|{band}|{genre}|the {music_item} {song}[ by {band}])",
            "(find|search for|look up|show me) the {music_item} {song}[ by {band}][ on {service}]",
        ),
    ),
    Domain(
        "weather",
        "questions about the weather",
        _fields("city state country poi relation condition temperature when"),
        (
            "(will it|is it going to|is it) (be {temperature}|be {condition}|get {temperature}|{condition}) <(in {city}|in {city} {state}|in {city}, {country}|at {poi}|in {country}|in {state}|{relation} {poi}|here);[{when}|on {when}|at {when}]>[?]",
            "(what is|what's|tell me|give me|show me|check|i need) the (weather|forecast|weather forecast|weather report) <(for|in|at) ({city}|{city}, {state}|{poi}|{country}|{state} state);[{when}|for {when}|on {when}]>[?]",
            "(weather|forecast|how {temperature} is it|any {condition}|chance of {condition}) (in|for|at) ({city}|{poi}|{state}|{country}) [{when}]",
            "(when will it|will there be|should i expect|is there) ({condition}|{temperature} weather) [{relation} {poi} |in {city} |in {city} {country} |in {state} ][{when}][?]",
            "(how|what) will the weather be <{when};(in {city}|at {poi}|in {city} {state}|in {country})>",
        ),
    ),
    Domain(
        "rating",
        "ratings of books",
        _fields("book:song book_kind which author:person rating best:count rating_unit"),
        (
            _PLEASE
            + "(rate|give|score|award|mark) ({book}|{which} {book_kind}|the {which} {book_kind}|the {book_kind} {book}|{book} by {author}|the {book_kind} called {book}) [a |a rating of ]{rating}[ {rating_unit}| out of {best}| of {best}| out of {best} {rating_unit}][.]",
            "{rating} [{rating_unit} ][out of {best} ](for|to) ({book}|{which} {book_kind}|the {book_kind} {book})",
            "(i think|i feel|i would say) (the {book_kind} {book}|{book}|{which} {book_kind}) (is|deserves|should get|earns) [a ](rating of |){rating}[ {rating_unit}][ out of {best}]",
        ),
    ),
    Domain(
        "search",
        "searches for a creative work",
        _fields("title:song film_kind book_kind service band"),
        (
            _PLEASE
            + "(find|search|look for|show me|get me|locate|see) [the |a ]({film_kind}|{book_kind}|work) [called |named |titled ]{title}[ on {service}| by {band}]",
            "(where can i|how do i|i want to) (see|buy|find|watch) {title}[ the {film_kind}| on {service}][?]",
        ),
    ),
    Domain(
        "cinema",
        "questions about film times",
        _fields("title:song film_kind cinema relation city when"),
        (
            "(when is|what time is|is|where is) {title} (playing|showing|shown) <[at {cinema}|{relation} {city}|in {city}];[{when}]>[?]",
            "(find|show|give|tell) me [the ](movie times|schedule|movie schedule|films|{film_kind} times) <[for {title}];[at {cinema}|in {city}|{relation} me];[{when}]>",
            "what {film_kind}s are (playing|on) <(at {cinema}|in {city});[{when}|at {when}]>[?]",
        ),
    ),
    Domain(
        "order",
        "orders by e-mail or chat",
        _fields("product quantity:count price:amount color customer:person company address date code"),
        (
            _PLEASE
            + "(order|buy|purchase|send us|ship) {quantity} {product}[ in {color}] <[for {customer}|from {company}];[at {price}|for {price} each];[to {address}];[by {date}|on {date}]>[, (ref|order|po) {code}][.]",
            "[hello, |hi, ]{customer} (from|of|at) {company} (wants|needs|ordered|would like) {quantity} {product}[ for {price}]<[, deliver to {address}];[, by {date}]>",
            "(order|purchase order|po) {code}: {quantity} x {product}[, {color}][ @ {price}][, ship to {address}][, due {date}]",
            "(where is|track|cancel|return|change) [my ]order {code}[ from {company}][ placed on {date}][ of {quantity} {product}]",
        ),
    ),
    Domain(
        "ticket",
        "support requests",
        _fields("product problem code email phone customer:person date department"),
        (
            "[hi, |hello, |good morning, ](my|our|the) {product} {problem}<[. order {code}|(order {code})];[. (bought|ordered) on {date}]>[. (call|reach) me at {phone}|. (write to|my email is) {email}][. thanks, {customer}|. regards {customer}]",
            "{customer} (reports|says|complains) that the {product} {problem}[ since {date}][ (ticket {code})][, forward to {department}|, assign to {department}][, contact {email}| phone {phone}]",
            "[please ](open|create|log) a ticket for {department}: {product} {problem}[, ref {code}][, reported by {customer}][, {phone}]",
        ),
    ),
    Domain(
        "event",
        "calendar requests",
        _fields("event when person:first_name poi repeat"),
        (
            _PLEASE
            + "(schedule|set up|add|create|put|book|plan) [a |an |the ]{event} <[with {person}];[{when}|on {when}|for {when}|at {when}];[at {poi}|in {poi}]>[ {repeat}]",
            "(remind me|set a reminder) (about|of) the {event} [with {person} ][{when}|{repeat}]",
            "(delete|cancel|remove|move|reschedule|when is|do i have) [my |the ]{event} <[with {person}];[{when}|on {when}|to {when}]>",
        ),
    ),
    Domain(
        "travel",
        "travel requests",
        _fields("origin:city destination:city when airline:company count seat price:amount"),
        (
            _PLEASE
            + "(book|find|get|need|search for) [me ]({count} tickets|a flight|a train|a bus|flights|a {seat} seat) <from {origin};to {destination};[{when}|on {when}];[with {airline}];[for {count}];[under {price}]>",
            "(i'm|we are) (flying|travelling|going) <from {origin};to {destination};[{when}]>[ in {seat}][ with {airline}]",
            "{origin} to {destination}[ {when}][, {count} (adults|passengers|people)][, {seat}][ max {price}]",
        ),
    ),
    Domain(
        "expense",
        "expense reports",
        _fields("amount company date person category"),
        (
            "(i|we|{person}) (paid|spent) {amount} (at|to) {company} <[on {date}];[for {category}]>",
            "(log|record|book|file) (an expense of |){amount} <[for {category}];(at|from) {company};[dated {date}|on {date}];[for {person}]>",
            "{category}: {amount}, {company}[, {date}][, {person}]",
        ),
    ),
    Domain(
        "candidate",
        "notes on people",
        _fields("person age:count city country language department company email phone"),
        (
            "{person}<[, {age} years old];[, from {city}|, lives in {city}, {country}];[, speaks {language}];[, works at {company}|, works in {department}];[, {email}];[, tel {phone}]>",
            "(meet|contact|new contact:|add) {person} <[of {company}|from {company}];[in {city}|in {country}];[at {email}|phone {phone}]>[, {department}]",
            "my name is {person}[ and i am {age}][, i live in {city}][, {country}][ and i speak {language}][. you can reach me at {email}| call {phone}]",
        ),
    ),
)

# Words of closed sets that stand for themselves: field name -> choices.
CLOSED: Final[dict[str, tuple[str, ...]]] = {
    "repeat": (
        "every day",
        "daily",
        "weekly",
        "every week",
        "monthly",
        "every monday",
        "each morning",
        "every other friday",
        "once a year",
    ),
    "seat": ("economy", "business class", "first class", "premium economy", "window", "aisle", "business"),
    "category": (
        "travel",
        "meals",
        "lodging",
        "office supplies",
        "taxi",
        "fuel",
        "software",
        "parking",
        "training",
        "client dinner",
        "postage",
    ),
    "owner_": ("my", "our", "the", "her"),
}
