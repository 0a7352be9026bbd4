"""Makes a shop's database for the tutorial: customers, orders with lines, invoices, reviews, staff.

    python3 shop.py sqlite shop.db                  a SQLite file
    python3 shop.py postgres | psql shop            the same in PostgreSQL
    python3 shop.py mysql    | mariadb shop         the same in MariaDB or MySQL

Everything in it is made up, and the same each time. Standard library only.
"""

import pathlib
import random
import sqlite3
import sys

PEOPLE = 200
PRODUCTS = ["Tea pot", "Cup", "Saucer", "Kettle", "Tray", "Tea, green", "Tea, black", "Honey", "Spoon", "Cosy \"warm\""]
FIRST = ["Mila", "Noor", "Levi", "Saga", "Enzo", "Ida", "Otto", "Zoë"]
LAST = ["Jansen", "Meyer", "Rossi", "Dubois", "Novák", "O'Hara"]


def schema(engine):
    """The tables. The reviews have no foreign key, as in many a shop that grew."""
    time = {"sqlite": "datetime", "postgres": "timestamptz", "mysql": "datetime"}[engine]
    text = "varchar(200)" if engine == "mysql" else "text"
    quote = "`{}`" if engine == "mysql" else '"{}"'
    details = quote.format("Order Details")
    return [
        f"create table staff (id integer primary key, name {text} not null)",
        f"create table products (id integer primary key, name {text} not null, price numeric(10, 2) not null)",
        f"""create table customers (
            id integer primary key, name {text} not null, email {text} not null, password_hash {text} not null,
            referred_by integer references customers (id), created_at {time} not null)""",
        f"""create table orders (
            id integer primary key, customer_id integer not null, ordered_at {time} not null, note {text}, handled_by integer,
            foreign key (customer_id) references customers (id), foreign key (handled_by) references staff (id))""",
        f"""create table {details} (
            order_id integer not null, line_no integer not null, product_id integer not null, quantity integer not null,
            price numeric(10, 2) not null, primary key (order_id, line_no),
            foreign key (order_id) references orders (id), foreign key (product_id) references products (id))""",
        f"""create table invoices (
            id integer primary key, order_id integer not null, sent_on date not null, total numeric(10, 2) not null,
            foreign key (order_id) references orders (id))""",
        f"create table reviews (id integer primary key, customer_id integer, product_id integer, stars integer, words {text}, written_at bigint)",
        f"""create table password_resets (
            id integer primary key, customer_id integer not null, token {text} not null,
            foreign key (customer_id) references customers (id))""",
        "create index orders_of_customer on orders (customer_id)",
        "create index invoices_of_order on invoices (order_id)",
        "create index reviews_of_customer on reviews (customer_id)",
    ]


def rows():
    """Each table's rows, always the same."""
    chance = random.Random(4)
    day = lambda: f"{chance.randint(2021, 2025)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
    moment = lambda: f"{day()} {chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}"
    yield "staff", [(1, "Sam"), (2, "Kim")]
    yield "products", [(at + 1, name, f"{3 + at * 4}.95") for at, name in enumerate(PRODUCTS)]
    people = range(1, PEOPLE + 1)
    yield "customers", [
        (at, f"{chance.choice(FIRST)} {chance.choice(LAST)}", f"c{at}@shop.example", f"$argon2id${at}", at // 7 or None, moment())
        for at in people
    ]
    orders, lines, invoices = [], [], []
    for person in people:
        # The last customer has not bought anything yet.
        for _ in range(chance.randint(1, 6) if person < PEOPLE else 0):
            order = len(orders) + 1
            orders.append((order, person, moment(), chance.choice([None, "Please ring", "Leave it at Nº 7"]), chance.choice([1, 2, None])))
            total = 0
            for line in range(1, chance.randint(2, 5)):
                product, quantity = chance.randint(1, len(PRODUCTS)), chance.randint(1, 3)
                cents = 395 + (product - 1) * 400
                total += cents * quantity
                lines.append((order, line, product, quantity, f"{cents // 100}.{cents % 100:02}"))
            invoices.append((len(invoices) + 1, order, day(), f"{total // 100}.{total % 100:02}"))
    yield "orders", orders
    yield "Order Details", lines
    yield "invoices", invoices
    yield "reviews", [
        (at, chance.randint(1, PEOPLE - 1), chance.randint(1, len(PRODUCTS)), chance.randint(1, 5), "Lovely\n“as ever”", 1_700_000_000_000 + at)
        for at in range(1, 301)
    ]
    yield "password_resets", [(1, 7, "do-not-show-this"), (2, 9, "nor-this")]


def literal(value, engine):
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    if engine == "mysql":
        value = value.replace("\\", "\\\\")
    return "'" + value.replace("'", "''") + "'"


def statements(engine):
    yield from schema(engine)
    quote = "`{}`" if engine == "mysql" else '"{}"'
    for table, content in rows():
        for at in range(0, len(content), 200):
            values = ", ".join("(" + ", ".join(literal(value, engine) for value in row) + ")" for row in content[at : at + 200])
            yield f"insert into {quote.format(table)} values {values}"


def main():
    match sys.argv[1:]:
        case ["sqlite", path]:
            if pathlib.Path(path).exists():
                sys.exit(f"{path} is there already")
            shop = sqlite3.connect(path)
            shop.execute("pragma journal_mode = wal")
            for statement in statements("sqlite"):
                shop.execute(statement)
            shop.commit()
            shop.close()
        case ["postgres" | "mysql" as engine]:
            print(";\n".join(statements(engine)) + ";")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
