"""Units that amounts are written in: of mass, of length, of money."""

from __future__ import annotations

import re

_NUMBER = r"[-+]?\d[\d., ']*"
_BEFORE = re.compile(rf"(?P<unit>[$€£¥₹]|[A-Z]{{3}}) ?{_NUMBER}")
_AFTER = re.compile(rf"{_NUMBER}(?P<unit>[$€£¥₹%]|°?[^\W\d_][^\W\d_/]{{0,10}}[²³]?(?:/[a-z]{{1,3}})?)")
MONEY = "currency"
_UNITS = {
    "mass": "kg g mg µg t lb oz",
    "length": "m km cm mm µm nm in ft yd mi",
    "area": "m² km² cm² ha sqm sqft",
    "volume": "l L ml mL cl dl m³ gal",
    "duration": "ms s sec min h hr",
    "temperature": "°C °F",
    "speed": "km/h m/s mph kn",
    "data": "kB KB MB GB TB KiB MiB GiB TiB",
    "power": "W kW MW hp",
    "energy": "J kJ MJ Wh kWh MWh kcal cal",
    "pressure": "Pa hPa kPa bar mbar psi",
    "frequency": "Hz kHz MHz GHz rpm",
    "voltage": "V mV kV",
    "current": "A mA",
}
"""Signs, not words: 1 day and 2 days are one unit, and who writes words writes prose."""
_SIGNS = {"€": "EUR", "£": "GBP", "$": "USD", "¥": "JPY", "₹": "INR"}
_CODES = (
    "AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KRW MAD MXN MYR NGN NOK"
    " NZD PEN PHP PKR PLN RON RUB SAR SEK SGD THB TRY TWD UAH USD VND ZAR"
).split()
_WORDS = {
    "EUR": "euro евро ευρώ ユーロ 欧元",
    "GBP": "pound pfund libra livre sterl quid фунт ポンド 英镑",
    "USD": "dollar dólar dolar dolár buck доллар ドル 美元",
    "JPY": "yen yén ien иен 円 日元",
    "INR": "rupee rupie rupia roupie रुपय रुपए рупи",
}
"""How words for a currency begin, in the languages that are asked in most."""
KNOWN_CURRENCIES = frozenset(_WORDS)
"""Those whose sign and words are known: of others nobody can tell that a text does not speak of them."""
_QUANTITIES = {unit: quantity for quantity, units in _UNITS.items() for unit in units.split()}
_IN_ANY_CASE = {unit.casefold(): quantity for unit, quantity in _QUANTITIES.items() if len(unit) > 1}


def unit_of(value: object) -> tuple[str, str]:
    """What is measured, and the unit as it is written, of money its code; both empty where there is no known unit.

    Words that are no unit ("12 Oak Street", "5 pm") have none, so that texts are not taken for amounts.
    """
    text = value if isinstance(value, str) else ""
    before = _BEFORE.fullmatch(text)
    found = before or _AFTER.fullmatch(text)
    unit = found["unit"] if found else ""
    code = _SIGNS.get(unit, unit)
    if code in _CODES:
        return MONEY, code
    if before:  # SEC 1234 names something
        return "", ""
    quantity = _QUANTITIES.get(unit) or _IN_ANY_CASE.get(unit.casefold(), "")
    return (quantity, unit) if quantity else ("", "")


def is_money_of(code: str, text: str) -> bool:
    """Whether a text speaks of this currency, one of those that are known, by its code, sign or a word for it."""
    folded = text.casefold()
    signs = [sign for sign, own in _SIGNS.items() if own == code]
    return any(word in folded for word in (code.casefold(), *signs, *_WORDS[code].split()))
