"""Schemas that the tests of SQL contracts share."""

from __future__ import annotations

from shared.contracts.spec import ContractKind, ContractSpec, SqlProfile

SALES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT, country TEXT, created_at TEXT);
CREATE TABLE products (id INTEGER PRIMARY KEY, title TEXT, category TEXT, price REAL, stock INTEGER);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id), status TEXT, total REAL);
CREATE TABLE order_items (
  id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders, product_id INTEGER, quantity INTEGER,
  FOREIGN KEY (product_id) REFERENCES products (id)
);
"""
ODD = """
CREATE TABLE "order" ("group" TEXT, "a ""b" INT, "select" , `x-y` real, été TEXT, "Key" int DEFAULT NULL);
CREATE TABLE t2 (
  id INTEGER PRIMARY KEY, "order" int references "order"("Key"), plain, date TEXT, year int, left text,
  "values" int, "replace" varchar(3) NOT NULL DEFAULT '', "semi;colon" int
);
"""
PARALLEL = """
CREATE TABLE airport (id INT PRIMARY KEY, name TEXT);
CREATE TABLE flight (id INT, source INT REFERENCES airport, target INT REFERENCES airport (id), PRIMARY KEY (id));
CREATE TABLE leg (a INT, b TEXT, FOREIGN KEY (a) REFERENCES flight (id), self INT REFERENCES leg (a));
"""
UNDECLARED = """
CREATE TABLE "state" ("state_name" text, "population" int DEFAULT NULL, "capital" text);
CREATE TABLE "city" ("city_name" text, "population" int DEFAULT NULL, "state_name" text);
"""
WIDE = "\n".join(
    f"CREATE TABLE table_{number} (id INT, {', '.join(f'column_{c} TEXT' for c in range(12))}, "
    f"other_id INT REFERENCES table_{(number + 1) % 14} (id));"
    for number in range(14)
)
"""Too large for free subqueries."""
ALL = {"sales": SALES, "odd": ODD, "parallel": PARALLEL, "undeclared": UNDECLARED}


def flat(ddl: str, dialect: str = "sqlite") -> ContractSpec:
    """A contract of the flat profile."""
    return ContractSpec(ContractKind.SQL, ddl=ddl, dialect=dialect)


def nested(ddl: str, dialect: str = "sqlite") -> ContractSpec:
    """A contract of the nested profile."""
    return ContractSpec(ContractKind.SQL, ddl=ddl, dialect=dialect, profile=SqlProfile.NESTED)
