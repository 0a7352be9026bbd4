"""What the archive bench needs in its databases.

    data.py persons DATABASE             makes light persons of some who have nothing; prints the heavy, the typical and the light ones
    data.py copy DATABASE ADDRESS        copies every table to PostgreSQL, with its indexes
"""

import re
import sqlite3
import subprocess
import sys

LIGHT, ROWS = 200, 150


def persons(path):
    database = sqlite3.connect(path)
    by_rows = [person for (person,) in database.execute(
        "select user_id from watch_history group by user_id order by count(*) desc, user_id")]
    light = [person for (person,) in database.execute(
        "select id from users where id not in (select user_id from watch_history) order by id limit ?", (LIGHT,))]
    (last,) = database.execute("select max(id) from watch_history").fetchone()
    for at, person in enumerate(light):
        database.execute(
            "insert into watch_history select ? + row_number() over (), ?, video_id, watched_at, title"
            " from watch_history where user_id = ? limit ?", (last + at * ROWS, person, by_rows[1], ROWS))
    database.commit()
    database.execute("analyze")
    database.close()
    print(by_rows[0], by_rows[1], ",".join(map(str, light)))


def text(value):
    """A value in COPY's text format."""
    if value is None:
        return "\\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def with_key(index, keyed):
    """SQLite's indexes end with the row's key without a word, so that nothing is sorted there; PostgreSQL has to be told."""
    table, columns = re.search(r"\bon (\w+) \((.*)\)", index).groups()
    return index if table not in keyed or "unique" in index else index.replace(f"({columns})", f"({columns}, id)")


def copy(path, address):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    schema = database.execute(
        "select type, name, sql from sqlite_master where sql is not null and name not like 'sqlite_%' order by type = 'index'").fetchall()
    keyed = {name for kind, name, sql in schema if kind == "table" and re.search(r"\bid\s+integer primary key\b", sql)}
    psql = subprocess.Popen(["psql", "-q", "-v", "ON_ERROR_STOP=1", address], stdin=subprocess.PIPE)
    for kind, name, sql in schema:
        if kind != "table":
            continue
        psql.stdin.write((re.sub(r"\binteger primary key\b", "bigint primary key", sql) + ";\n").encode())
        psql.stdin.write(f"copy {name} from stdin;\n".encode())
        for row in database.execute(f"select * from {name}"):
            psql.stdin.write(("\t".join(map(text, row)) + "\n").encode())
        psql.stdin.write(b"\\.\n")
    for kind, _, sql in schema:
        if kind == "index":
            psql.stdin.write((with_key(sql, keyed) + ";\n").encode())
    psql.stdin.write(b"vacuum analyze;\ncheckpoint;\n")
    psql.stdin.close()
    sys.exit(psql.wait())


if sys.argv[1] == "persons":
    persons(sys.argv[2])
else:
    copy(sys.argv[2], sys.argv[3])
