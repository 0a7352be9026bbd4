"""The commands that a newcomer tries first: `demo`, `demo` on their own database, `demo-data`.

The databases that are looked at are opened with the standard library; nothing is taken from the server's own words but the
exit status.
"""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients/python"))

import portward_dev as kit

CATALOGUE = """
format = 1
edition = "2026-01-01"
document = "shop_data.json"

[subject]
type = "text"

[source.shop]
kind = "sqlite"
url = "sqlite:shop.db"

[[category]]
name = "orders"
scope = "portability.orders"
title = {{ en = "Your orders" }}
text = {{ en = "What you ordered, when, and what it cost" }}

[[section]]
categories = ["orders"]
path = ["Orders", "Order History", "OrderList"]
source = "shop"
shape = "list"
empty = "[]"
owner = "customer"
hidden = ["id", "customer"]
query = '''
  select o.id, o.customer, o.ordered_at as "Date", o.title as "Title", o.price as "Price"
  from orders o
  where {where}
  order by o.ordered_at desc'''

[section.fields]
Date = {{ type = "timestamp", from = "unix_ms" }}
"""
ORDERS = [
    (1, "mila", 1_700_000_000_000, 'A "quoted" tea pot — 茶壶 🫖', 19.5),
    (2, "noor", 1_700_000_100_000, "not hers", 1.0),
    (3, "mila", 1_700_000_200_000, "line\nbreak\tand tab", 0.1),
]


def run(folder, *args, timeout=180):
    done = subprocess.run(
        [kit.binary(), *args], cwd=folder, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout, done.stderr


def tree(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file()
    }


def demo(check, folder):
    # Both default ports are taken: it must find others.
    busy = []
    for port in (8080, 9090):
        taken = socket.socket()
        try:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            busy.append(taken)
        except OSError:
            pass  # already taken by somebody else
    code, out, err = run(folder, "demo", "--once")
    for taken in busy:
        taken.close()
    check.equal(code, 0, f"demo --once with its ports taken: {err[-600:]}")
    archive = folder / "portward-demo/archive.zip"
    if not check(archive.exists(), "it leaves portward-demo/archive.zip", os.listdir(folder)):
        return
    with zipfile.ZipFile(archive) as opened:
        check.equal(opened.namelist(), ["user_data_tiktok.json"], "with the one member")
    told = f"{out}{err}"
    check("Watch History" in told, "it tells what is in it", told[-300:])
    check("\x1b[" not in out, "no colours where nobody sees them", out[:200])
    keys = [path for path in (folder / "portward-demo").rglob("*") if path.is_file() and "key" in path.name]
    check(keys and all(path.stat().st_mode & 0o077 == 0 for path in keys), "the key file is its owner's alone", keys)
    left = list((folder / "portward-demo/scratch").rglob("*")) if (folder / "portward-demo/scratch").exists() else []
    check.equal([path.name for path in left if path.is_file()], [], "nothing stays in the scratch folder")
    plain = b"https://www.tiktokv.com/share/video/"
    vault = [path for path in (folder / "portward-demo").rglob("*") if path.is_file() and "vault" in path.parts]
    check(all(not path.read_bytes().startswith(b"PK") and plain not in path.read_bytes() for path in vault), "the vault holds nothing readable")

    before = archive.stat().st_mtime_ns
    code, _, err = run(folder, "demo", "--once")
    check.equal(code, 0, f"a second time in the same place: {err[-300:]}")
    check(archive.stat().st_mtime_ns > before, "replaces what it made")

    foreign = folder / "foreign"
    (foreign / "portward-demo").mkdir(parents=True)
    (foreign / "portward-demo/mine.txt").write_text("mine")
    was = tree(foreign)
    code, out, err = run(foreign, "demo", "--once")
    check(code != 0, "a folder of that name that it did not make is refused")
    check("portward-demo" in f"{out}{err}", "by name", err[-300:])
    check.equal(tree(foreign), was, "and left as it was")


def own_database(check, folder):
    with sqlite3.connect(folder / "shop.db") as shop:
        shop.execute("create table orders (id integer primary key, customer text not null, ordered_at integer, title text, price real)")
        shop.executemany("insert into orders values (?, ?, ?, ?, ?)", ORDERS)
    shop.close()
    catalogue = folder / "catalog.toml"
    catalogue.write_text(CATALOGUE.replace("{where}", "o.customer = :subject").replace("{{", "{").replace("}}", "}"))
    args = ["demo", "--once", "--input", "shop.db", "--catalog", "catalog.toml"]
    was = hashlib.sha256((folder / "shop.db").read_bytes()).hexdigest()
    code, out, err = run(folder, *args, "--person", "mila")
    if not check.equal(code, 0, f"demo on one's own database: {(out + err)[-800:]}"):
        return
    check.equal(hashlib.sha256((folder / "shop.db").read_bytes()).hexdigest(), was, "which is only read")
    with zipfile.ZipFile(folder / "portward-demo/archive.zip") as archive:
        check.equal(archive.namelist(), ["shop_data.json"], "one member, named by the catalogue")
        rows = json.loads(archive.read("shop_data.json"))["Orders"]["Order History"]["OrderList"]
    wanted = [
        {"Date": "2023-11-14 22:16:40", "Title": "line\nbreak\tand tab", "Price": 0.1},
        {"Date": "2023-11-14 22:13:20", "Title": 'A "quoted" tea pot — 茶壶 🫖', "Price": 19.5},
    ]
    check.equal(rows, wanted, "her rows, to the letter")

    code, out, err = run(folder, *args, "--person", "nobody")
    check(code in (0, 1), "a person without rows", (code, err[-300:]))
    catalogue.write_text(
        CATALOGUE.replace("{where}", "o.customer = :subject or 1=1").replace("{{", "{").replace("}}", "}")
    )
    code, out, err = run(folder, *args, "--person", "mila")
    check(code != 0, "a wrong join serves nobody")
    check("owner_mismatch" in out + err, "and is told as owner_mismatch", (out + err)[-600:])
    check("not hers" not in out + err, "without a word of the other's data")
    archive = folder / "portward-demo/archive.zip"
    check(not archive.exists(), "and leaves no archive")

    catalogue.write_text(CATALOGUE.replace("{where}", "o.buyer = :subject").replace("{{", "{").replace("}}", "}"))
    code, out, err = run(folder, *args, "--person", "mila")
    check(code != 0 and "buyer" in out + err and "catalog.toml" in out + err, "a missing column is told with its file", (out + err)[-600:])
    for missing in (
        ["demo", "--once", "--input", "no.db", "--catalog", "catalog.toml", "--person", "mila"],
        ["demo", "--once", "--input", "shop.db", "--person", "mila"],
        ["demo", "--once", "--input", "shop.db", "--catalog", "no.toml", "--person", "mila"],
        ["demo", "--once", "--input", "shop.db", "--catalog", "catalog.toml"],
        ["demo", "--nonsense"],
    ):
        code, out, err = run(folder, *missing)
        check(code not in (0, 101) and "panicked" not in err and (out + err).strip(), " ".join(missing), (code, err[-300:]))


def data(check, folder):
    def make(name, *args):
        code, out, err = run(folder, "demo-data", "--out", name, "--people", "20", "--heavy-rows", "2000", *args)
        check.equal(code, 0, f"demo-data {name}: {err[-300:]}")
        with sqlite3.connect(f"file:{folder / name}?mode=ro", uri=True) as database:
            tables = [row[0] for row in database.execute("select name from sqlite_master where type = 'table' order by name")]
            content = {table: database.execute(f'select * from "{table}" order by 1, 2').fetchall() for table in tables}
        database.close()
        return content

    one, same, other = make("one.db", "--seed", "7"), make("same.db", "--seed", "7"), make("other.db", "--seed", "8")
    check(one == same, "the same seed makes the same data")
    check(one != other, "another seed another")
    check.equal(len(one["users"]) >= 20, True, "so many people")
    rows = sum(len(rows) for rows in one.values())
    check(rows > 20_000, "and their rows", rows)
    code, out, err = run(folder, "demo-data", "--out", "one.db")
    check(code != 0, "an existing file is not written over", (out, err))
    with sqlite3.connect(folder / "one.db") as database:
        check.equal(len(database.execute("select * from users").fetchall()), len(one["users"]), "and stays as it was")
    database.close()
    if check(os.environ.get("TEST_DATABASE_URL"), "TEST_DATABASE_URL is set: run this through ./test"):
        name = f"portward_demo_{os.getpid()}"
        kit.psql(f"create database {name}")
        try:
            url = kit.store_url(name)
            code, _, err = run(folder, "demo-data", "--postgres", url, "--people", "20", "--heavy-rows", "2000", "--seed", "7")
            check.equal(code, 0, f"demo-data into PostgreSQL: {err[-300:]}")
            for table in ("users", "watch_history", "direct_messages", "shop_orders"):
                count = subprocess.run(["psql", "-XAtq", url, "-c", f"select count(*) from {table}"], capture_output=True, text=True)
                check.equal(count.stdout.strip(), str(len(one[table])), f"as many {table} as in SQLite")
        finally:
            kit.psql(f"drop database if exists {name} with (force)")


def interrupted(check, folder):
    """Without --once it goes on serving, and ends well when interrupted."""
    process = subprocess.Popen(
        [kit.binary(), "demo"], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    words, address = [], None
    deadline = time.monotonic() + 120
    for line in process.stdout:
        words.append(line)
        for word in line.split():
            if word.startswith("http://127.0.0.1:") and address is None:
                address = word.rstrip("/.,)")
        if line.strip().startswith("admin ") or time.monotonic() > deadline:
            break  # the last line
    check(address, "it prints its address", words[-20:])
    if address:
        base = "/".join(address.split("/")[:3])
        with urllib.request.urlopen(f"{base}/", timeout=10) as page:
            check.equal(page.status, 200, "it goes on serving")
    check(any("open-sesame" in line or "password" in line.lower() for line in words), "and the sign-ins", words[-20:])
    end(check, process, "while it serves", (0,))


def interrupted_early(check, folder):
    """At each step of the journey, too, and at once."""
    for mark in ("1 ", "4 ", "7 "):
        process = subprocess.Popen(
            [kit.binary(), "demo"], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in process.stdout:
            if line.strip().startswith(mark):
                break
        end(check, process, f"at step {mark}", (0, 1, 130, -signal.SIGINT))


def end(check, process, when, codes):
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=20)
        check(process.returncode in codes, f"an interrupt {when} ends it well", process.returncode)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        check(False, f"an interrupt {when} ends it", "still there after 20 s")


def main():
    check = kit.Checks("demo")
    steps = {
        "demo": demo,
        "one's own database": own_database,
        "demo-data": data,
        "interrupted": interrupted,
        "interrupted early": interrupted_early,
    }
    for name, step in steps.items():
        folder = pathlib.Path(tempfile.mkdtemp(prefix="portward-demo-"))
        check.attempt(name, lambda step=step, folder=folder: step(check, folder))
        shutil.rmtree(folder, ignore_errors=True)
    check.finish()


if __name__ == "__main__":
    main()
