"""A generated golden dataset: a sales team's questions -> SQL over their four tables."""

from __future__ import annotations

import random
from collections.abc import Callable

from deploy.quickstart.instructions import sql_instructions
from deploy.quickstart.tenant import DemoTenant, GoldenRow
from shared.contracts.spec import ContractKind

DDL = """\
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT, segment TEXT);
CREATE TABLE product (id INTEGER PRIMARY KEY, title TEXT, category TEXT, price REAL);
CREATE TABLE sale (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER REFERENCES customer (id),
  product_id INTEGER REFERENCES product (id),
  quantity INTEGER,
  year INTEGER
);
"""
_CITIES = "Lisbon Oslo Turin Ghent Porto Malmo Basel Leeds Krakow Tartu Bergen Nantes".split()
_SEGMENTS = ["retail", "public", "industry", "education"]
_CATEGORIES = ["furniture", "lighting", "storage", "kitchen", "garden"]
_TITLES = (
    "desk lamp|oak shelf|steel rack|garden bench|bar stool|wall clock|bread box|tool chest|floor mat|book stand".split(
        "|"
    )
)

Question = tuple[list[str], str]


def sales(train_count: int = 500, holdout_count: int = 100, seed: int = 2) -> DemoTenant:
    """The dataset; the same seed gives the same rows."""
    rng = random.Random(seed)
    rows: dict[str, GoldenRow] = {}
    while len(rows) < train_count + holdout_count:
        phrasings, sql = rng.choice(_PATTERNS)(rng)
        text = rng.choice(phrasings)
        text = rng.choice([text, text.lower(), text + "?", "Please tell me: " + text])
        rows.setdefault(text.lower(), GoldenRow(text, sql))
    ordered = tuple(rows.values())
    prompt = sql_instructions(
        "You answer questions of a sales team by writing one SQLite statement over their database.",
        DDL,
        [(row.input, row.output) for row in ordered[:18]],
    )
    return DemoTenant(
        "globex", ContractKind.SQL, DDL, prompt, ordered[:train_count], ordered[train_count:], _database(seed)
    )


def _database(seed: int) -> str:
    rng = random.Random(seed + 1)
    lines = [
        f"INSERT INTO customer VALUES ({i}, 'Customer {i}', '{rng.choice(_CITIES)}', '{rng.choice(_SEGMENTS)}');"
        for i in range(1, 41)
    ]
    lines += [
        f"INSERT INTO product VALUES ({i}, '{title}', '{rng.choice(_CATEGORIES)}', {rng.randrange(500, 40_000) / 100});"
        for i, title in enumerate(_TITLES, 1)
    ]
    lines += [
        f"INSERT INTO sale VALUES ({i}, {rng.randrange(1, 41)}, {rng.randrange(1, len(_TITLES) + 1)}, "
        f"{rng.randrange(1, 60)}, {rng.randrange(2019, 2026)});"
        for i in range(1, 301)
    ]
    return "\n".join(lines)


def _count_in_city(rng: random.Random) -> Question:
    city = rng.choice(_CITIES)
    return (
        [f"How many customers are in {city}", f"number of customers in {city}", f"Count the customers from {city}"],
        f"SELECT COUNT(*) FROM customer WHERE customer.city = '{city}'",
    )


def _names_by_segment(rng: random.Random) -> Question:
    segment = rng.choice(_SEGMENTS)
    city = rng.choice(_CITIES)
    return (
        [
            f"Which {segment} customers do we have in {city}",
            f"List the names of {segment} customers in {city}",
            f"Who are our customers in {city} in the {segment} segment",
        ],
        f"SELECT customer.name FROM customer WHERE customer.segment = '{segment}' AND customer.city = '{city}'",
    )


def _price_of(rng: random.Random) -> Question:
    title = rng.choice(_TITLES)
    return (
        [f"What does the {title} cost", f"price of the {title}", f"How much is the {title}"],
        f"SELECT product.price FROM product WHERE product.title = '{title}'",
    )


def _average_price(rng: random.Random) -> Question:
    category = rng.choice(_CATEGORIES)
    return (
        [f"What is the average price in {category}", f"mean price of {category} products", f"Average {category} price"],
        f"SELECT AVG(product.price) FROM product WHERE product.category = '{category}'",
    )


def _above_price(rng: random.Random) -> Question:
    limit = rng.randrange(10, 400)
    return (
        [f"Products above {limit} euros", f"Which products cost more than {limit}", f"titles dearer than {limit}"],
        f"SELECT product.title FROM product WHERE product.price > {limit}",
    )


def _below_price(rng: random.Random) -> Question:
    limit, category = rng.randrange(10, 400), rng.choice(_CATEGORIES)
    return (
        [f"Which {category} products cost less than {limit}", f"{category} titles under {limit}"],
        f"SELECT product.title FROM product WHERE product.category = '{category}' AND product.price < {limit}",
    )


def _quantity_in_year(rng: random.Random) -> Question:
    year = rng.randrange(2019, 2026)
    return (
        [f"How many units did we sell in {year}", f"total quantity sold in {year}", f"Units sold during {year}"],
        f"SELECT SUM(sale.quantity) FROM sale WHERE sale.year = {year}",
    )


def _quantity_of_product(rng: random.Random) -> Question:
    title = rng.choice(_TITLES)
    year = rng.randrange(2019, 2026)
    return (
        [f"How many units of the {title} did we sell in {year}", f"quantity of {title} sold in {year}"],
        (
            "SELECT SUM(sale.quantity) FROM sale JOIN product ON sale.product_id = product.id "
            f"WHERE product.title = '{title}' AND sale.year = {year}"
        ),
    )


def _sales_by_city(rng: random.Random) -> Question:
    city = rng.choice(_CITIES)
    return (
        [f"How many sales went to {city}", f"number of sales in {city}", f"Count sales to customers from {city}"],
        f"SELECT COUNT(*) FROM sale JOIN customer ON sale.customer_id = customer.id WHERE customer.city = '{city}'",
    )


def _dearest(rng: random.Random) -> Question:
    category = rng.choice(_CATEGORIES)
    return (
        [f"What is our most expensive {category} product", f"dearest product in {category}"],
        f"SELECT product.title FROM product WHERE product.category = '{category}' ORDER BY product.price DESC LIMIT 1",
    )


def _cheapest(rng: random.Random) -> Question:
    count = rng.randrange(2, 9)
    return (
        [
            f"The {count} cheapest products",
            f"Show the {count} products with the lowest price",
            f"{count} lowest priced titles",
        ],
        f"SELECT product.title FROM product ORDER BY product.price LIMIT {count}",
    )


def _customers_per_city(rng: random.Random) -> Question:
    segment = rng.choice(_SEGMENTS)
    return (
        [f"How many {segment} customers per city", f"Number of {segment} customers for each city"],
        f"SELECT customer.city, COUNT(*) FROM customer WHERE customer.segment = '{segment}' GROUP BY customer.city",
    )


_PATTERNS: list[Callable[[random.Random], Question]] = [
    _count_in_city,
    _names_by_segment,
    _price_of,
    _average_price,
    _above_price,
    _below_price,
    _quantity_in_year,
    _quantity_of_product,
    _sales_by_city,
    _dearest,
    _cheapest,
    _customers_per_city,
]
