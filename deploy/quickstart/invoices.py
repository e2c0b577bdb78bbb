"""A generated golden dataset: supplier invoices as plain text -> JSON."""

from __future__ import annotations

import json
import random
from datetime import date, timedelta

from deploy.quickstart.instructions import json_instructions
from deploy.quickstart.tenant import DemoTenant, GoldenRow
from shared.contracts.spec import ContractKind

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "SupplierInvoice",
    "type": "object",
    "properties": {
        "invoice_number": {"type": "string", "pattern": "^[A-Z]{2,3}-[0-9]{3,6}$"},
        "supplier": {"type": "string", "minLength": 1, "maxLength": 60},
        "issued": {"type": "string", "format": "date"},
        "currency": {"enum": ["EUR", "USD", "GBP", "CHF"]},
        "total": {"type": "number", "minimum": 0, "maximum": 999999},
        "due_days": {"type": "integer", "minimum": 0, "maximum": 120},
        "purchase_order": {"type": ["string", "null"], "pattern": "^PO[0-9]{4,6}$"},
        "items": {
            "type": "array",
            "minItems": 1,
            "maxItems": 4,
            "items": {
                "type": "object",
                "properties": {
                    "article": {"type": "string", "minLength": 1, "maxLength": 40},
                    "quantity": {"type": "integer", "minimum": 1, "maximum": 999},
                },
                "required": ["article", "quantity"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["invoice_number", "supplier", "issued", "currency", "total", "due_days", "purchase_order", "items"],
    "additionalProperties": False,
}

_FIRST = (
    "Harlow Brenner Castell Dunmore Elwick Farrow Gilling Hesper Ivorsen Kestrel Lindqvist Marlowe Norden Oakes Penrose"
).split()
_TRADE = "Paper Steel Packaging Tools Timber Glass Textiles Electric Logistics Foods Chemicals Plastics".split()
_FORM = ["Ltd", "GmbH", "Inc", "AG", "& Sons", "Group", "Co"]
_ARTICLES = (
    "copy paper|steel bolts|cardboard boxes|safety gloves|oak boards|window panes|cotton fabric|copper cable|"
    "pallet wrap|olive oil|floor cleaner|plastic crates|printer toner|drill bits|shipping labels|desk lamps|"
    "brass hinges|paint rollers"
).split("|")
_MONTHS = "January February March April May June July August September October November December".split()
_NOTES = ["", "\nThank you for your business.", "\nPlease quote the invoice number.", "\nGoods remain ours until paid."]


def invoices(train_count: int = 500, holdout_count: int = 100, seed: int = 1) -> DemoTenant:
    """The dataset; the same seed gives the same rows."""
    rng = random.Random(seed)
    rows: dict[str, GoldenRow] = {}
    while len(rows) < train_count + holdout_count:
        row = _row(rng)
        rows.setdefault(row.input, row)
    ordered = tuple(rows.values())
    schema = json.dumps(SCHEMA)
    prompt = json_instructions(
        "You read supplier invoices for an accounts payable team and turn each one into a single JSON object.",
        SCHEMA,
        [(row.input, row.output) for row in ordered[:2]],
    )
    return DemoTenant("acme", ContractKind.JSON, schema, prompt, ordered[:train_count], ordered[train_count:])


def _row(rng: random.Random) -> GoldenRow:
    issued = date(2024, 1, 1) + timedelta(days=rng.randrange(700))
    total = rng.randrange(1_000, 900_000) / 100
    order = f"PO{rng.randrange(1000, 999_999)}" if rng.random() < 0.6 else None
    names = rng.sample(_ARTICLES, rng.choice([1, 1, 2]))
    items = [{"article": name, "quantity": rng.randrange(1, 200)} for name in names]
    fields = {
        "invoice_number": f"{rng.choice(['INV', 'RE', 'BL', 'SI'])}-{rng.randrange(100, 99_999)}",
        "supplier": f"{rng.choice(_FIRST)} {rng.choice(_TRADE)} {rng.choice(_FORM)}",
        "issued": issued.isoformat(),
        "currency": rng.choice(["EUR", "USD", "GBP", "CHF"]),
        "total": total,
        "due_days": rng.choice([7, 10, 14, 21, 30, 45, 60]),
        "purchase_order": order,
        "items": items,
    }
    text = _render(rng, fields, issued, items)
    return GoldenRow(text, json.dumps(fields, ensure_ascii=False, separators=(",", ":")))


def _render(rng: random.Random, fields: dict[str, object], issued: date, items: list[dict[str, object]]) -> str:
    month = _MONTHS[issued.month - 1]
    day = rng.choice(
        [
            f"{issued.day} {month} {issued.year}",
            f"{month} {issued.day}, {issued.year}",
            issued.isoformat(),
            issued.strftime("%d.%m.%Y"),
        ]
    )
    lines = [
        f"{i['quantity']} x {i['article']}" if rng.random() < 0.5 else f"{i['article']}, qty {i['quantity']}"
        for i in items
    ]
    head = [
        f"{rng.choice(['Invoice', 'Invoice no.', 'INVOICE', 'Invoice number:'])} {fields['invoice_number']}",
        f"{rng.choice(['From', 'Supplier:', 'Issued by', 'Vendor:'])} {fields['supplier']}",
        f"{rng.choice(['Date:', 'Issued', 'Invoice date:', 'dated'])} {day}",
    ]
    rng.shuffle(head)
    tail = [
        f"{rng.choice(['Total', 'Amount due:', 'Total due', 'Please pay'])} {fields['currency']} {fields['total']}",
        f"{rng.choice(['Payment within', 'Due in', 'Terms: net', 'Payable in'])} {fields['due_days']} days",
    ]
    if fields["purchase_order"]:
        tail.append(f"{rng.choice(['Your order', 'PO ref', 'Purchase order:'])} {fields['purchase_order']}")
    rng.shuffle(tail)
    return "\n".join([*head, *lines, *tail]) + rng.choice(_NOTES)
