"""Archives past both limits of plain ZIP, as the program makes them, in other people's readers.

    large.py            a member of 4.4 GB of JSON, 4.4 GB of stored media, and 70,000 members
    large.py --huge     ten gigabytes in one archive; what bench/archive --huge starts

What must be in an archive is reckoned here, from the rows and the files that were made for it: names, sizes and checksums. A reader
that checks the checksums of the directory thereby checks the contents.
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
import time
import zipfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients/python"))

import portward_dev as kit

HERE = pathlib.Path(__file__).resolve().parent
NODE = os.environ.get("NODE") or "node"
PERSON = 7
# Whatever the size: the most that the program may ever have had in memory, its own code included.
MIB = 96
PLAIN = 2**32 - 1
# The longest that any one program may take, in seconds.
PATIENCE = 1800
FILM = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
PICTURE = b"\x89PNG\r\n\x1a\n"
MARK = 1 << 20

HEAD = """
format = 1
edition = "large"
document = "letters.json"
[subject]
type = "integer"
[source.db]
kind = "sqlite"
url = "sqlite:data.db"
statement_timeout = "30 min"
max_snapshot = "30 min"
[store.films]
url = "file:films"
timeout = "5 min"
[[category]]
name = "all_data"
scope = "portability.all"
title = { en = "Everything" }
text = { en = "All of it" }
"""
# The numbers come in their order; `order by` would sort gigabytes in a file.
LETTERS = """
[[section]]
categories = ["all_data"]
path = ["Letters"]
source = "db"
shape = "list"
owner = "user_id"
query = '''
  with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < COUNT)
  select letters.user_id, n, body from letters, numbers where letters.user_id = :subject'''
"""
FILMS = """
[[section]]
categories = ["all_data"]
path = ["Films"]
source = "db"
shape = "list"
owner = "user_id"
query = "select user_id, film from films where user_id = :subject order by id"
[section.media]
column = "film"
store = "films"
within = "people/:subject/"
max_object = "20 GiB"
missing = "fail"
"""


class Place:
    """A folder with a catalogue, its database and its store."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.films = self.folder / f"films/people/{PERSON}"
        self.films.mkdir(parents=True)
        self.db = sqlite3.connect(self.folder / "data.db")
        self.db.execute("pragma page_size = 65536")
        self.db.execute("create table letters (user_id integer, body text)")
        self.db.execute("create table films (id integer primary key, user_id integer, film text)")
        self.sections, self.sizes, self.crcs = "", {}, {}

    def letters(self, gigabytes, member, head, between, end):
        """Rows of some sixty kilobytes. `member` is where they lie, with what stands before, between and after the rows."""
        body = "".join(f"Dear friend, this is line {line} of a letter.  " for line in range(1400))
        count = int(gigabytes * 1e9) // len(body) + 1
        self.db.execute("insert into letters values (?, ?)", (PERSON, body))
        self.sections += LETTERS.replace("COUNT", str(count))
        size, crc = 0, 0
        row = b'"body":"' + body.encode() + b'"}'
        for n in range(1, count + 1):
            for piece in (head if n == 1 else between, b'{"n":%d,' % n, row, end if n == count else b""):
                size, crc = size + len(piece), zlib.crc32(piece, crc)
        self.sizes[member], self.crcs[member] = size, crc

    def film(self, name, head, gigabytes=0.0):
        """A file that takes hardly any room on the disk, with a mark in each of its megabytes."""
        size = max(int(gigabytes * 1e9), len(head))
        with open(self.films / name, "wb") as file:
            file.write(head)
            for at in range(MARK, size - 8, MARK):
                file.seek(at)
                file.write(at.to_bytes(8, "big"))
            file.truncate(size)
        self.db.execute("insert into films (user_id, film) values (?, ?)", (PERSON, f"people/{PERSON}/{name}"))
        crc, left = 0, size
        with open(self.films / name, "rb") as file:
            while piece := file.read(4 * MARK):
                crc = zlib.crc32(piece, crc)
                left -= len(piece)
        assert left == 0
        self.sizes[name], self.crcs[name] = size, crc

    def pictures(self, count):
        names = [f"{at:05}.png" for at in range(count)]
        for at, name in enumerate(names):
            picture = PICTURE + b"%d" % at
            (self.films / name).write_bytes(picture)
            self.sizes[name], self.crcs[name] = len(picture), zlib.crc32(picture)
        rows = ((PERSON, f"people/{PERSON}/{name}") for name in names)
        self.db.executemany("insert into films (user_id, film) values (?, ?)", rows)

    def with_films(self):
        self.sections += FILMS

    def build(self, check, what, form):
        """The archive, by the real program; its memory is the kernel's word."""
        self.db.commit()
        (self.folder / "catalog.toml").write_text(HEAD + self.sections)
        path = self.folder / "out.zip"
        command = [kit.binary(), "catalog", "preview", "--catalog", str(self.folder / "catalog.toml")]
        command += ["--person", str(PERSON), "--format", form, "--archive", str(path), "--json"]
        begun = time.monotonic()
        with open(self.folder / "said", "wb") as said:
            process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self.folder)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        text = (self.folder / "said").read_text(errors="replace")
        if not check(process.returncode == 0, f"{what}: the archive is built", text[-2000:]):
            return None
        peak = usage.ru_maxrss / 1024
        check(peak < MIB, f"{what}: memory stays below {MIB} MiB", f"{peak:.0f} MiB")
        took = time.monotonic() - begun
        print(f"    {what}: {path.stat().st_size / 1e6:,.0f} MB in {took:.0f} s, {peak:.0f} MiB at most", flush=True)
        return path


def plain(name):
    """A member's name without what stands for the object in it."""
    return re.sub(r"^(?:.*/)?media/[0-9a-f]{16}-", "", name)


def run(check, what, command, **more):
    begun = time.monotonic()
    if not check(shutil.which(command[0]), f"{what}: {command[0]} is installed"):
        return ""
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, stdin=subprocess.DEVNULL, text=True, **more)
    check(done.returncode == 0 and not done.stderr, f"{what}: {' '.join(command[:2])}", (done.returncode, done.stderr[-300:]))
    print(f"    {what}: {' '.join(command[:2])} took {time.monotonic() - begun:.1f} s", flush=True)
    return done.stdout


def listed(check, what, text, pattern, sizes):
    """A reader's own list: every member and its size."""
    found = {plain(match[2]): int(match[1]) for match in re.finditer(pattern, text, re.M)}
    check.equal(len(found), len(sizes), f"{what}: members")
    check(found == sizes, f"{what}: names and sizes", [pair for pair in found.items() if sizes.get(pair[0]) != pair[1]][:3])


def directory(check, path, place, what):
    """Every reader opens it and sees the same members."""
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        check.equal(len(infos), len(place.sizes), f"{what}: members by Python's zipfile")
        check(
            {plain(info.filename): (info.file_size, info.CRC) for info in infos}
            == {name: (size, place.crcs[name]) for name, size in place.sizes.items()},
            f"{what}: names, sizes and checksums by Python's zipfile",
            [(info.filename, info.file_size, info.CRC) for info in infos[:3]],
        )
        stored = {info.filename for info in infos if info.compress_type == zipfile.ZIP_STORED}
        check.equal(stored, {info.filename for info in infos if "media/" in info.filename}, f"{what}: only media are stored")
    for command, pattern in (
        (["unzip", "-l", str(path)], r"^ *(\d+)  [\d-]+ [\d:]+   (.+)$"),
        (["7z", "l", "-ba", str(path)], r"^\S+ \S+ \S+ +(\d+) +\d+ +(.+)$"),
        (["bsdtar", "-tvf", str(path)], r"^-\S+ +\d+ \S+ +\S+ +(\d+) \w+ +\d+ +[\d:]+ (.+)$"),
        (["jar", "-tvf", str(path)], r"^ *(\d+) \w+ \w+ +\d+ [\d:]+ \S+ \d+ (.+)$"),
    ):
        listed(check, f"{what}: {command[0]}", run(check, what, command), pattern, place.sizes)


def in_node(check, path, place, what, reads):
    """yauzl and unzipper list it; those of `reads` also read one of so many members."""
    for reader in ("yauzl", "unzipper"):
        told = run(check, what, [NODE, str(HERE / f"{reader}.mjs"), str(path), str(reads.get(reader, 0))])
        found = json.loads(told or "{}").get("members", [])
        sizes = {plain(name): size for name, size, _ in found}
        check(sizes == place.sizes, f"{what}: names and sizes by {reader}", list(sizes.items())[:3])
        crcs = {plain(name): crc for name, _, crc in found if crc is not None}
        wanted = -(-len(found) // reads[reader]) if reader in reads else 0
        check.equal(len(crcs), wanted, f"{what}: members read by {reader}")
        wrong = [name for name, crc in crcs.items() if place.crcs.get(name) != crc]
        check.equal(wrong[:3], [], f"{what}: contents by {reader}")


def in_python(check, path, what):
    begun = time.monotonic()
    with zipfile.ZipFile(path) as archive:
        check.equal(archive.testzip(), None, f"{what}: read by Python's zipfile")
    print(f"    {what}: zipfile took {time.monotonic() - begun:.1f} s", flush=True)


def needs_64_bits(check, path, what):
    """That the archive is what it is for: the directory's end tells it elsewhere."""
    with open(path, "rb") as file:
        file.seek(-4096, os.SEEK_END) if path.stat().st_size > 4096 else None
        check(b"PK\x06\x07" in file.read(), f"{what}: the end is a ZIP64 one")


def one_member(check, folder):
    what, place = "4.4 GB of JSON", Place(folder)
    place.letters(4.4, "letters.json", b'{"Letters":[', b",", b"]}")
    if path := place.build(check, what, "json"):
        check(place.sizes["letters.json"] > PLAIN, f"{what}: it is past the limit")
        directory(check, path, place, what)
        in_node(check, path, place, what, {"yauzl": 1})
        run(check, what, ["unzip", "-tq", str(path)])


def stored_media(check, folder):
    what, place = "4.4 GB of media", Place(folder)
    place.with_films()
    place.film("before.mp4", FILM, 0.003)
    place.film("film.mp4", FILM, 4.4)
    # Its header lies where 32 bits do not reach.
    place.film("after.png", PICTURE + b"behind the film")
    if path := place.build(check, what, "ndjson"):
        lines(place)
        directory(check, path, place, what)
        in_node(check, path, place, what, {})
        in_python(check, path, what)
        run(check, what, ["7z", "t", "-bso0", "-bsp0", str(path)])
        needs_64_bits(check, path, what)


def many_members(check, folder):
    what, place = "70,000 members", Place(folder)
    place.with_films()
    place.pictures(70_000)
    if path := place.build(check, what, "ndjson"):
        lines(place)
        directory(check, path, place, what)
        needs_64_bits(check, path, what)
        # unzipper opens the file anew for each member.
        in_node(check, path, place, what, {"yauzl": 1, "unzipper": 100})
        in_python(check, path, what)
        run(check, what, ["unzip", "-tq", str(path)])
        run(check, what, ["7z", "t", "-bso0", "-bsp0", str(path)])
        for reader, command in (("bsdtar", ["bsdtar", "-xf", str(path)]), ("jar", ["jar", "-xf", str(path)])):
            out = place.folder / reader
            out.mkdir()
            run(check, what, command, cwd=out)
            crcs = {plain(str(file.relative_to(out))): zlib.crc32(file.read_bytes()) for file in out.rglob("*") if file.is_file()}
            check(crcs == place.crcs, f"{what}: contents by {reader}", list(crcs.items())[:3])


def lines(place):
    """The section's own member: a line for each film, with the name that it has in the archive."""
    with zipfile.ZipFile(place.folder / "out.zip") as archive:
        names = [name for name in archive.namelist() if "media/" in name]
        member = next(name for name in archive.namelist() if name.endswith(".ndjson"))
    content = "".join(f'{{"film":"{name}"}}\n' for name in names).encode()
    place.sizes[member], place.crcs[member] = len(content), zlib.crc32(content)


def huge(check, folder):
    what, place = "10 GB", Place(folder)
    place.letters(5.2, "Letters.ndjson", b"", b"\n", b"\n")
    place.with_films()
    place.film("short.mp4", FILM, 0.4)
    place.film("long.mp4", FILM, 4.5)
    place.film("after.png", PICTURE + b"behind the film")
    if path := place.build(check, what, "ndjson"):
        lines(place)
        directory(check, path, place, what)
        in_node(check, path, place, what, {"yauzl": 1, "unzipper": 1})
        in_python(check, path, what)
        run(check, what, ["unzip", "-tq", str(path)])
        run(check, what, ["7z", "t", "-bso0", "-bsp0", str(path)])
        needs_64_bits(check, path, what)


def main():
    parts = [huge] if "--huge" in sys.argv[1:] else [one_member, stored_media, many_members]
    check = kit.Checks("large archives")
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="portward-large-") as folder:
            check.attempt(part.__name__.replace("_", " "), lambda part=part, folder=folder: part(check, folder))
    check.finish()


if __name__ == "__main__":
    main()
