"""The tutorial docs/tutorials/own-database.md, word for word: its blocks are run in an empty folder, and what comes out is compared with the database.
Then the same with the shop in PostgreSQL and in MariaDB, where TEST_DATABASE_URL and TEST_MYSQL_URL say that there are servers.

Standard library only, and the engines' own clients; nothing is taken from the server's own words but exit codes.
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
import urllib.parse
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients/python"))

import portward_dev as kit

PAGE = kit.ROOT / "docs/tutorials/own-database.md"
PERSON = 7


def blocks():
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


class Sqlite:
    """The page as it stands."""

    name = "sqlite"

    def __init__(self, folder):
        self.file = folder / "shop.db"

    def block(self, text):
        return text

    def run(self, sql):
        with sqlite3.connect(self.file) as shop:
            shop.execute(sql)
        shop.close()

    def end(self):
        pass


class Server:
    """The page with the shop on a server: its address stands in the place of the file's."""

    def __init__(self, folder, name, url):
        self.name, self.folder = name, folder
        self.server = urllib.parse.urlsplit(url)
        self.database = f"portward_tutorial_{os.getpid()}"
        self.url = self.server._replace(path=f"/{self.database}").geturl()
        self.client(self.server.path.strip("/"), f"create database {self.database}")
        made = subprocess.run([sys.executable, folder / "shop.py", name], capture_output=True, text=True, timeout=60, check=True)
        self.run(made.stdout)

    def client(self, database, sql):
        at, env = self.server, {**os.environ, "PGTZ": "UTC"}
        if self.name == "postgres":
            command = ["psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", at._replace(path=f"/{database}").geturl()]
        else:
            password = [f"--password={urllib.parse.unquote(at.password)}"] if at.password else []
            command = ["mariadb", "--no-defaults", "-h", at.hostname, "-P", str(at.port or 3306), "-u", at.username, *password]
            command += ["--protocol=tcp", "--default-character-set=utf8mb4", database]
        subprocess.run(command, input=sql, env=env, text=True, encoding="utf-8", timeout=120, check=True, stdout=subprocess.DEVNULL)

    def block(self, text):
        return text.replace("--source sqlite:shop.db", f"--source '{self.url}'").replace("--input shop.db ", "")

    def run(self, sql):
        self.client(self.database, sql)

    def end(self):
        self.client(self.server.path.strip("/"), f"drop database {self.database}")


def run(check, folder, made):
    shutil.copy(PAGE.parent / "shop.py", folder)
    tools = folder / "bin"
    tools.mkdir()
    (tools / "portward").symlink_to(pathlib.Path(kit.binary()).resolve())
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    found = blocks()
    check(len(found) >= 7, "the page has its blocks", len(found))
    engine = made(folder)
    try:
        for block in map(engine.block, found):
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block], cwd=folder, env=env, capture_output=True, text=True, timeout=300,
                stdin=subprocess.DEVNULL,
            )
            told = f"{engine.name}: {block.splitlines()[0]}: {(done.stdout + done.stderr)[-1500:]}"
            if not check.equal(done.returncode, 0, told):
                return
        if engine.name != "sqlite":
            catalogue = (folder / "catalog.toml").read_text(encoding="utf-8")
            check(f'kind = "{engine.name}"' in catalogue and "sqlite" not in catalogue, f"{engine.name}: it is the one that is read")
        # Whatever the engine, the customers and their orders are the same; the file is what they are compared with.
        for archive in ("seven.zip", "portward-demo/archive.zip"):
            compare(check, folder, f"{engine.name}: ", archive)
        # Who changes the shop afterwards is told by comparing, and who changes the archive by verifying.
        engine.run(f"update customers set name = 'Somebody Else' where id = {PERSON}")
        command = [kit.binary(), "archive", "compare", "--catalog", "catalog.toml", "--person", str(PERSON), "--archive", "portward-demo/archive.zip"]
        changed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
        check.equal(changed.returncode, 1, f"{engine.name}: a changed source is told")
        altered = bytearray((folder / "portward-demo/archive.zip").read_bytes())
        altered[len(altered) // 2] ^= 1
        (folder / "altered.zip").write_bytes(altered)
        verified = subprocess.run([kit.binary(), "archive", "verify", "altered.zip"], cwd=folder, capture_output=True, text=True, timeout=120)
        check.equal(verified.returncode, 1, f"{engine.name}: an altered archive is told")
        # What check is for: a table that comes to the database later must not be forgotten.
        engine.run("create table vouchers (id integer primary key, customer_id integer references customers (id))")
        later = subprocess.run([kit.binary(), "catalog", "check", "--json"], cwd=folder, capture_output=True, text=True, timeout=120)
        check.equal(later.returncode, 1, f"{engine.name}: a table that came later fails the check")
        told = json.loads(later.stdout)
        check.equal(told["faults"], 1, f"{engine.name}: as the one fault")
        check("vouchers" in told["findings"][0]["what"], f"{engine.name}: which names it", told["findings"][:1])
        with sqlite3.connect(folder / "shop.db") as shop:
            check.equal(shop.execute("select count(*) from customers").fetchone(), (200,), "the shop is as it was")
        shop.close()
    finally:
        engine.end()


def compare(check, folder, engine, archive):
    """Every row that is customer 7's by hand-written SQL is in the archive, and no other."""
    with zipfile.ZipFile(folder / archive) as opened:
        names = opened.namelist()
        documented = names[-2:] == ["manifest.json", "manifest.sig"]
        check(names[0].endswith("_data.json") and (len(names) == 1 or documented), f"{engine}{archive}: its members", names)
        check.equal(documented, archive != "seven.zip", f"{engine}{archive}: a manifest only where one is wanted")
        text = opened.read(names[0]).decode()
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
    check.equal(sections, set(wanted), f"{engine}{archive}: its sections")
    for (family, name), rows in wanted.items():
        value = document[family][name]
        found = [list(row.values()) for row in (value if isinstance(value, list) else [value])]
        check.equal(found, rows, f"{engine}{archive}: {name}")
    check("argon2" not in text and "do-not-show" not in text and "referred" not in text, f"{engine}{archive}: no secrets, nobody else")


def main():
    check = kit.Checks("tutorial")
    engines = [("sqlite", Sqlite)]
    for name, variable in (("postgres", "TEST_DATABASE_URL"), ("mysql", "TEST_MYSQL_URL")):
        if url := os.environ.get(variable):
            engines.append((name, lambda folder, name=name, url=url: Server(folder, name, url)))
    for name, made in engines:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="portward-tutorial-"))
        check.attempt(f"own-database, {name}", lambda: run(check, folder, made))
        shutil.rmtree(folder, ignore_errors=True)
    check.finish()


if __name__ == "__main__":
    main()
