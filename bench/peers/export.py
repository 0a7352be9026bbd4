"""The same archive as Portward's, written as one would write it in Python: sqlite3 or psycopg, json and zipfile, streaming.

It reads the catalogue that Portward reads, as far as the demo platform's needs it, so that both do the same work; the bench
compares the two documents byte by byte (by size and CRC-32). It does not check owners, limits or cancellation.

    export.py CATALOGUE DATABASE SUBJECT[,SUBJECT...] OUT.zip LEVEL
    export.py CATALOGUE --plan

DATABASE is a file or a postgres:// address; several persons are written one after another to the same file. The second form prints the
sections as JSON, for peers that do not read TOML.
"""

import json
import re
import sqlite3
import sys
import time
import tomllib
import zipfile
from pathlib import Path

ROWS = 1000  # joined before they go to the compressor: one call a row costs Python a fifth more
WHOLE = {"unix_s": 1, "unix_ms": 1000, "unix_us": 1_000_000}


def load(path):
    with open(path, "rb") as file:
        catalogue = tomllib.load(file)
    sections = list(catalogue.get("section", []))
    for pattern in catalogue.get("include", []):
        for name in sorted(Path(path).parent.glob(pattern)):
            with open(name, "rb") as file:
                sections += tomllib.load(file).get("section", [])
    return catalogue, sections


# Made once: json.dumps with arguments makes an encoder for each call.
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def converter(field, first):
    """How a column's value becomes JSON's; None when it already is, as the first row shows."""
    kind = field.get("type")
    if kind in ("timestamp", "date"):
        form = field.get("as", "%Y-%m-%d %H:%M:%S" if kind == "timestamp" else "%Y-%m-%d")
        unit = WHOLE.get(field.get("from"))
        if unit:
            return lambda value: None if value is None else time.strftime(form, time.gmtime(value // unit))
        read = "%Y-%m-%d %H:%M:%S" if kind == "timestamp" else "%Y-%m-%d"
        return lambda value: None if value is None else time.strftime(form, time.strptime(value[:19].replace("T", " "), read))
    if kind == "json":
        return lambda value: None if value is None else Verbatim(value)
    if kind == "boolean":
        return lambda value: None if value is None else bool(value)
    if kind == "string" and not isinstance(first, str):
        return lambda value: value if value is None or isinstance(value, str) else str(value)
    return None


class Verbatim(str):
    """JSON that goes out as it is."""


def render(row):
    """A record that may hold JSON."""
    pairs = (encode(name) + ":" + (value if isinstance(value, Verbatim) else encode(value)) for name, value in row.items())
    return "{" + ",".join(pairs) + "}"


def extremes(section):
    """Binds that leave nothing out, of the type that the time column has."""
    fields = section.get("fields", {}).values()
    text = any(field.get("type") == "timestamp" and field.get("from") == "text" for field in fields)
    return ("", "\U0010ffff") if text else (-(2**63), 2**63 - 1)


def write_section(section, database, subject, out):
    shape = section["shape"]
    if shape == "constant":
        out(encode(section["value"]) if "value" in section else section.get("empty", "null"))
        return
    since, until = extremes(section)
    cursor = database(section["query"], {"subject": subject, "since": since, "until": until})
    names = [column[0] for column in cursor.description]
    group = section.get("group") or (section.get("key") if isinstance(section.get("key"), str) else None)
    hidden = set(section.get("hidden", [])) | {group}
    at_group = names.index(group) if group else None
    buffer, last, columns = [], None, None
    for row in cursor:
        any_row = columns is not None
        if not any_row:
            fields = section.get("fields", {})
            columns = [(at, name, converter(fields.get(name, {}), row[at])) for at, name in enumerate(names) if name not in hidden]
            line = render if any(field.get("type") == "json" for field in fields.values()) else encode
        record = {name: convert(row[at]) if convert else row[at] for at, name, convert in columns}
        if shape == "value":
            (value,) = record.values()
            text = value if isinstance(value, Verbatim) else encode(value)
        else:
            text = line(record)
        if shape == "list":
            buffer.append(("," if any_row else "[") + text)
        elif shape == "groups":
            if not any_row or row[at_group] != last:
                buffer.append(("]," if any_row else "{") + encode(str(row[at_group])) + ":[" + text)
                last = row[at_group]
            else:
                buffer.append("," + text)
        elif shape == "map":
            buffer.append(("," if any_row else "{") + encode(str(row[at_group])) + ":" + text)
        else:
            buffer.append(text)
        if len(buffer) == ROWS:
            out("".join(buffer))
            buffer.clear()
    end = {"list": "]", "groups": "]}", "map": "}"}.get(shape, "")
    out("".join(buffer) + end if columns else section.get("empty", "null"))


def write_tree(tree, database, subject, out):
    for at, (name, inner) in enumerate(tree.items()):
        out(("," if at else "{") + encode(name) + ":")
        if "shape" in inner and "path" in inner:
            write_section(inner, database, subject, out)
        else:
            write_tree(inner, database, subject, out)
    out("}")


def numbered(query, style):
    """The binds as another driver wants them; a colon of a type cast or of a text is none."""
    return re.sub(r"(?<![:\w']):(subject|since|until)\b", style, query)


def sqlite(path):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    database.execute("begin")
    return lambda query, binds: database.execute(query, binds)


def postgres(address):
    import psycopg

    connection = psycopg.connect(address)
    connection.execute("set transaction isolation level repeatable read, read only")

    def run(query, binds):
        # A cursor on the server: one in the client would hold all rows in memory.
        cursor = connection.cursor(name="section")
        cursor.itersize = 2000
        cursor.execute(numbered(query.replace("%", "%%"), r"%(\1)s"), binds)
        rows = Described(cursor)
        return rows

    class Described:
        def __init__(self, cursor):
            self.cursor, self.description = cursor, cursor.description

        def __iter__(self):
            with self.cursor:
                yield from self.cursor

    return run


def main():
    catalogue, sections = load(sys.argv[1])
    if sys.argv[2] == "--plan":
        plan = [section | {"extremes": extremes(section)} for section in sections]
        print(json.dumps({"document": catalogue["document"], "sections": plan}))
        return
    address, path, level = sys.argv[2], sys.argv[4], int(sys.argv[5])
    database = postgres(address) if address.startswith("postgres") else sqlite(address)
    tree = {}
    for section in sections:
        place = tree
        for name in section["path"][:-1]:
            place = place.setdefault(name, {})
        place[section["path"][-1]] = section
    for subject in sys.argv[3].split(","):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
            with archive.open(catalogue["document"], "w", force_zip64=True) as member:
                write_tree(tree, database, int(subject), lambda text: member.write(text.encode()))


main()
