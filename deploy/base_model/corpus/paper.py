"""Business papers of several lines, and their records with ISO dates, numbers, nulls, booleans and lists of objects."""

from random import Random
from typing import Final

from deploy.base_model.corpus import name, number
from deploy.base_model.corpus.example import Example, canonical_json

_HEADS: Final = (
    "Invoice",
    "Order",
    "Delivery note",
    "Quote",
    "Receipt",
    "Purchase order",
    "Bill",
    "Reminder",
    "Contract",
    "Ticket",
)
_LABELS: Final = {
    "number": ("No.", "number:", "#", "Ref", "ID:", "no"),
    "party": ("From", "To", "Supplier:", "Customer:", "Vendor:", "Issued by", "Bill to", "Client"),
    "date": ("Date:", "Issued", "dated", "on", "Date", "Issue date:"),
    "total": ("Total", "Amount due:", "Total due", "Please pay", "Sum:", "Balance", "To pay"),
    "days": ("Payment within", "Due in", "Terms: net", "Payable in", "Net"),
    "code": ("Your order", "PO ref", "Purchase order:", "Your ref", "Project"),
    "person": ("Contact:", "Attn", "Handled by", "Signed"),
    "city": ("City:", "Ship to", "Place:"),
    "paid": ("Status:", "State"),
}
# The order of these keys is the order of a record.
_KEYS: Final = {
    "number": ("invoice_number", "number", "document_id", "reference"),
    "party": ("supplier", "customer", "company", "vendor"),
    "date": ("issued", "date", "issue_date", "day"),
    "total": ("total", "amount", "sum", "total_due"),
    "currency": ("currency", "currency_code"),
    "days": ("due_days", "payment_days", "net_days"),
    "code": ("purchase_order", "order", "project"),
    "person": ("contact", "person", "clerk"),
    "city": ("city", "ship_to"),
    "email": ("email",),
    "items": ("items", "lines", "positions", "articles"),
    "paid": ("paid", "is_paid"),
}
_CURRENCIES: Final = ("EUR", "USD", "GBP", "CHF")
_CLOSINGS: Final = (
    "Thank you for your business.",
    "Please quote the number.",
    "Best regards",
    "Goods remain ours until paid.",
    "See our terms.",
)
_ITEM_KEYS: Final = (("article", "quantity"), ("article", "quantity"), ("name", "count"), ("product", "qty"))


class _Writer:
    """Collects the lines of a paper and the values of its record, part by part."""

    def __init__(self, rng: Random, keys: dict[str, str]) -> None:
        self.rng, self.keys = rng, keys
        self.record: dict[str, object] = {}
        self.lines: list[str] = []
        self.body: list[str] = []
        self.copied: list[str] = []
        self.is_nullable = rng.random() < 0.6

    def add(self, part: str) -> None:
        """Adds one part: a line for the reader, a value for the record."""
        rng = self.rng
        if part in {"code", "person", "city"} and rng.random() < 0.35:
            if self.is_nullable:
                self.record[self.keys[part]] = None
            return
        label = rng.choice(_LABELS[part]) if part in _LABELS else ""
        if part == "number":
            value = number.code(rng).surface
            self._text(
                part,
                value,
                f"{rng.choice((rng.choice(_HEADS), rng.choice(_HEADS).upper()))} {label} {value}"
                if rng.random() < 0.7
                else f"{rng.choice(_HEADS)} {value}",
            )
        elif part == "party":
            value = name.company(rng)
            self._text(part, value, f"{label} {value}")
        elif part == "code":
            value = number.code(rng).surface
            value = value if rng.random() < 0.5 else f"PO{rng.randint(100, 999999)}"
            self._text(part, value, f"{label} {value}")
        elif part in {"person", "city"}:
            value = (name.person if part == "person" else name.city)(rng)
            self._text(part, value, f"{label} {value}")
        elif part == "items":
            self._items()
        elif part != "currency":
            self._normalised(part, label)

    def _text(self, part: str, value: str, line: str) -> None:
        self.record[self.keys[part]] = value
        self.copied.append(value)
        self.lines.append(line)

    def _normalised(self, part: str, label: str) -> None:
        rng, key = self.rng, self.keys[part]
        if part == "date":
            day = number.full_date(rng)
            self.record[key] = day.normal
            self.lines.append(f"{label} {day.surface}")
        elif part == "total":
            total = rng.randint(100, 10 ** rng.randint(3, 6)) / 100
            currency = rng.choice(_CURRENCIES)
            self.record[key] = total
            self.record[self.keys["currency"]] = currency
            self.copied.append(currency)
            text = f"{total:,.2f}" if rng.random() < 0.3 else (f"{total:.2f}" if rng.random() < 0.4 else f"{total}")
            self.lines.append(f"{label} " + (f"{currency} {text}" if rng.random() < 0.7 else f"{text} {currency}"))
        elif part == "days":
            days = rng.choice((7, 8, 10, 14, 20, 21, 28, 30, 45, 60, 90))
            self.record[key] = days
            self.lines.append(f"{label} {days} days")
        else:
            is_paid = rng.random() < 0.5
            self.record[key] = is_paid
            self.lines.append(f"{label} {'paid' if is_paid else 'open'}")

    def _items(self) -> None:
        rng = self.rng
        article_key, count_key = rng.choice(_ITEM_KEYS)
        items = []
        for _ in range(rng.choice((1, 2, 2, 3))):
            article, count = name.product(rng), rng.randint(1, 400)
            items.append({article_key: article, count_key: count})
            self.copied.append(article)
            self.body.append(
                rng.choice(
                    (
                        f"{count} x {article}",
                        f"{article}, qty {count}",
                        f"{count} {article}",
                        f"{article}: {count}",
                        f"{article} x{count}",
                    )
                )
            )
        self.record[self.keys["items"]] = items


def paper_example(rng: Random) -> Example:
    """Returns a paper with its record; a system text names the keys in somewhat less than half of them."""
    parts = [
        "number",
        *rng.sample(["party", "date", "total", "days", "code", "person", "city", "paid"], rng.randint(2, 7)),
    ]
    order = [
        part
        for part in _KEYS
        if part in parts or (part == "currency" and "total" in parts) or (part == "items" and rng.random() < 0.55)
    ]
    keys = {part: (_KEYS[part][0] if rng.random() < 0.45 else rng.choice(_KEYS[part])) for part in order}
    writer = _Writer(rng, keys)
    for part in order:
        writer.add(part)
    lines = writer.lines
    if rng.random() < 0.6:
        rng.shuffle(lines)
    cut = rng.randint(0, len(lines))
    lines[cut:cut] = writer.body
    if rng.random() < 0.3:
        lines.append(rng.choice(_CLOSINGS))
    text = rng.choice(("\n", "\n", "\n", ", ", " | ", ". ")).join(lines)
    record = {keys[part]: writer.record[keys[part]] for part in order if keys[part] in writer.record}
    shown = ", ".join(key + (" (or null)" if value is None else "") for key, value in record.items())
    system = "" if rng.random() < 0.55 else rng.choice(("Extract: ", "JSON with keys ", "Fields: ")) + shown
    return Example("document", text, canonical_json(record), system, tuple(writer.copied))
