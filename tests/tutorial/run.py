"""The tutorial docs/tutorials/own-database.md, word for word: its blocks are run in an empty folder, and what comes out is compared with the database.

Standard library only; nothing is taken from the server's own words but exit codes.
"""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients/python"))

import portward_dev as kit

PAGE = kit.ROOT / "docs/tutorials/own-database.md"
PERSON = 7


def blocks():
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def run(check, folder):
    shutil.copy(PAGE.parent / "shop.py", folder)
    tools = folder / "bin"
    tools.mkdir()
    (tools / "portward").symlink_to(pathlib.Path(kit.binary()).resolve())
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    found = blocks()
    check(len(found) >= 7, "the page has its blocks", len(found))
    for block in found:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block], cwd=folder, env=env, capture_output=True, text=True, timeout=300,
            stdin=subprocess.DEVNULL,
        )
        if not check.equal(done.returncode, 0, f"{block.splitlines()[0]}: {(done.stdout + done.stderr)[-1500:]}"):
            return
    for archive in ("seven.zip", "portward-demo/archive.zip"):
        compare(check, folder, archive)
    # What check is for: a table that comes to the database later must not be forgotten.
    with sqlite3.connect(folder / "shop.db") as shop:
        shop.execute("create table vouchers (id integer primary key, customer_id integer references customers (id))")
    shop.close()
    later = subprocess.run([kit.binary(), "catalog", "check", "--json"], cwd=folder, capture_output=True, text=True, timeout=120)
    check.equal(later.returncode, 1, "a table that came later fails the check")
    told = json.loads(later.stdout)
    check.equal(told["faults"], 1, "as the one fault")
    check("vouchers" in told["findings"][0]["what"], "which names it", told["findings"][:1])
    with sqlite3.connect(folder / "shop.db") as shop:
        check.equal(shop.execute("select count(*) from customers").fetchone(), (200,), "the shop is as it was")
    shop.close()


def compare(check, folder, archive):
    """Every row that is customer 7's by hand-written SQL is in the archive, and no other."""
    with zipfile.ZipFile(folder / archive) as opened:
        check.equal(opened.namelist(), ["shop_data.json"], f"{archive}: its one member")
        text = opened.read("shop_data.json").decode()
    document = json.loads(text)
    with sqlite3.connect(f"file:{folder / 'shop.db'}?mode=ro", uri=True) as shop:
        ask = lambda sql: [list(row) for row in shop.execute(sql.format(f"= {PERSON}"))]
        wanted = {
            ("Profile", "Customers"): ask("select id, name, email, created_at from customers where id {}"),
            ("Orders", "Orders"): ask("select id, ordered_at, note, handled_by from orders where customer_id {} order by id"),
            ("Orders", "Order Details"): ask(
                'select order_id, line_no, product_id, quantity, price from "Order Details"'
                " where order_id in (select id from orders where customer_id {}) order by 1, 2"
            ),
            ("Orders", "Invoices"): ask(
                "select id, order_id, sent_on, total from invoices where order_id in (select id from orders where customer_id {}) order by 1"
            ),
            ("Reviews", "Reviews"): ask(
                "select id, product_id, stars, words, strftime('%Y-%m-%d %H:%M:%S', written_at / 1000, 'unixepoch')"
                " from reviews where customer_id {} order by id"
            ),
        }
    shop.close()
    sections = {(family, name) for family, inner in document.items() for name in inner}
    check.equal(sections, set(wanted), f"{archive}: its sections")
    for (family, name), rows in wanted.items():
        value = document[family][name]
        found = [list(row.values()) for row in (value if isinstance(value, list) else [value])]
        check.equal(found, rows, f"{archive}: {name}")
    check("argon2" not in text and "do-not-show" not in text and "referred" not in text, f"{archive}: no secrets, nobody else")


def main():
    check = kit.Checks("tutorial")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="portward-tutorial-"))
    check.attempt("own-database", lambda: run(check, folder))
    shutil.rmtree(folder, ignore_errors=True)
    check.finish()


if __name__ == "__main__":
    main()
