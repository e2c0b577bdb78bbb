"""Numbers, amounts, dates and times in the many ways people write them, each with its normalised value."""

from datetime import date, timedelta
from random import Random
from typing import Final, NamedTuple

_ONES: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS: Final = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
_MONTHS: Final = "January February March April May June July August September October November December".split()
_DAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_ORDINALS: Final = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
).split()


class Value(NamedTuple):
    """What the text says and what it means."""

    surface: str
    normal: str | int | float | bool


def spelled(number: int) -> str:
    """Returns 0..9999 in words."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + ("" if number % 10 == 0 else " " + _ONES[number % 10])
    head, rest = (number // 1000, number % 1000) if number >= 1000 else (number // 100, number % 100)
    unit = "thousand" if number >= 1000 else "hundred"
    return f"{_ONES[head]} {unit}" + ("" if rest == 0 else " " + spelled(rest))


def ordinal(number: int) -> str:
    """Returns 1st, 2nd, 3rd ..."""
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def ordinal_word(number: int) -> str:
    """Returns 1..31 as first, second ... thirty first."""
    if number <= 20:
        return _ORDINALS[number - 1]
    return "thirtieth" if number == 30 else f"{_TENS[number // 10]} {_ORDINALS[number % 10 - 1]}"


def small_count(rng: Random) -> Value:
    """Returns a count of people or things, in digits or words."""
    number = rng.choice((rng.randint(1, 10), rng.randint(1, 10), rng.randint(2, 40)))
    return Value(spelled(number) if rng.random() < 0.4 else str(number), number)


def big_count(rng: Random) -> Value:
    """Returns a larger whole number, sometimes with thousands separators."""
    number = rng.randint(1, 10 ** rng.randint(2, 6))
    return Value(f"{number:,}" if rng.random() < 0.3 else str(number), number)


def amount(rng: Random) -> Value:
    """Returns a price; normalised to a number with two decimals."""
    number = round(rng.uniform(0.5, 10 ** rng.randint(1, 4)), 2) if rng.random() < 0.7 else float(rng.randint(1, 900))
    digits = f"{number:,.2f}" if rng.random() < 0.6 or number % 1 else f"{number:.0f}"
    form = rng.choice(("${}", "{} dollars", "€{}", "{} EUR", "USD {}", "{}", "£{}", "{} euros"))
    return Value(form.format(digits), number)


def calendar_day(rng: Random) -> date:
    """Returns a day between 1995 and 2039."""
    return date(1995, 1, 1) + timedelta(days=rng.randrange(45 * 365))


def day_spelling(rng: Random, day: date) -> str:
    """Returns an absolute date, year included, in one of many unambiguous spellings."""
    month = _MONTHS[day.month - 1]
    short = month[:3] + ("." if rng.random() < 0.3 else "")
    forms = (
        day.isoformat(),
        f"{month} {day.day}, {day.year}",
        f"{day.day} {month} {day.year}",
        f"{short} {day.day}, {day.year}",
        f"{day.day} {short} {day.year}",
        f"{month} {ordinal(day.day)}, {day.year}",
        f"the {ordinal(day.day)} of {month} {day.year}",
        f"{month} the {ordinal_word(day.day)}, {day.year}",
        f"{day.day:02d}-{short}-{day.year}",
        f"{_DAYS[day.weekday()]}, {month} {day.day}, {day.year}",
        f"{day.day:02d}.{day.month:02d}.{day.year}",
        f"{day.day:02d}/{day.month:02d}/{day.year}",
        f"{day.day:02d}-{day.month:02d}-{day.year}",
        f"{day.year}/{day.month:02d}/{day.day:02d}",
    )
    return rng.choice(forms)


def full_date(rng: Random) -> Value:
    """Returns a date with its ISO form."""
    day = calendar_day(rng)
    return Value(day_spelling(rng, day), day.isoformat())


def clock_time(rng: Random) -> Value:
    """Returns a time of day with its HH:MM form."""
    hour, minute = rng.randint(1, 12), rng.choice((0, 0, 15, 30, 45, rng.randint(0, 59)))
    evening = rng.random() < 0.6
    mark = rng.choice(("pm", "p.m.", " pm", " PM") if evening else ("am", "a.m.", " am", " AM"))
    hour24 = hour % 12 + (12 if evening else 0)
    normal = f"{hour24:02d}:{minute:02d}"
    if minute == 0:
        text = rng.choice((f"{hour}{mark}", f"{hour}:00{mark}", f"{spelled(hour)} {mark.strip()}", normal))
    else:
        text = rng.choice(
            (
                f"{hour}:{minute:02d}{mark}",
                normal,
                f"{hour:02d}:{minute:02d}{mark}",
                f"{spelled(hour)} {spelled(minute)} {mark.strip()}",
            )
        )
    return Value(text, normal)


def when(rng: Random) -> Value:
    """Returns a moment as people say it: relative, vague or exact. Normalised to itself."""
    count, unit = rng.randint(1, 60), rng.choice(("minutes", "hours", "days", "weeks", "months", "years", "seconds"))
    said = spelled(rng.choice((count, rng.randint(1, 400)))) if rng.random() < 0.5 else str(count)
    day, month = rng.choice(_DAYS), rng.choice(_MONTHS)
    forms = (
        f"{said} {unit} from now",
        f"in {said} {unit}",
        "tomorrow",
        "today",
        "tonight",
        "now",
        "right now",
        "this weekend",
        f"next {day}",
        day,
        f"{day} {rng.choice(('morning', 'afternoon', 'evening', 'night'))}",
        f"next {rng.choice(('week', 'month', 'year'))}",
        f"next {month}",
        f"{month} {rng.randint(1, 28)}",
        f"{month} {ordinal(rng.randint(1, 28))}",
        f"the {ordinal(rng.randint(1, 28))} of {month}",
        f"tomorrow at {clock_time(rng).surface}",
        clock_time(rng).surface,
        clock_time(rng).surface,
        f"{day} at {clock_time(rng).surface}",
        "noon",
        "midnight",
        "lunchtime",
        "breakfast",
        "later",
        "this evening",
        "the day after tomorrow",
        f"the last week of {month}",
        rng.choice(("christmas", "easter", "new years eve", "my birthday", "labor day", "mothers day", "flag day")),
        full_date(rng).surface,
        f"{_MONTHS[rng.randrange(12)][:3]}. {rng.randint(1, 28)}",
        f"in the {rng.choice(('morning', 'evening', 'afternoon', 'autumn', 'spring'))}",
        f"{said} {unit} later",
        f"between {rng.randint(1, 6)} and {rng.randint(7, 12)}",
        f"before {clock_time(rng).surface}",
        f"a {rng.choice(('week', 'month', 'year', 'day'))} from {day}",
        f"the {ordinal_word(rng.randint(1, 31))}",
        f"{month} {calendar_day(rng).year}",
        f"half past {spelled(rng.randint(1, 12))}",
        f"quarter to {spelled(rng.randint(1, 12))}",
    )
    text = rng.choice(forms)
    return Value(text, text)


def code(rng: Random) -> Value:
    """Returns a reference: order number, ticket id, account."""
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(3, 8)))
    letters = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(rng.randint(1, 3)))
    text = rng.choice(
        (
            digits,
            f"{letters}-{digits}",
            f"{letters}{digits}",
            f"{letters}/{digits[:4]}/{digits[-2:]}",
            f"#{digits}",
            f"{digits}-{letters}",
        )
    )
    return Value(text, text)
