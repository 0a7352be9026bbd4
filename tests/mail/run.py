"""Mails to a real SMTP server: over plain connections, STARTTLS and TLS, with sign-in; and to one that is away, slow, or says no.

Every mail must arrive exactly once, except where the server took it and did not say so: then the same mail comes again, byte for byte.
"""

import collections
import email
import email.policy
import json
import logging
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients/python"))

import portward_dev as kit
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

# It tells of every refused handshake, which are wanted here.
logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
warnings.simplefilter("ignore", UserWarning)

USER, PASSWORD = "portward", "mail-password-9F3kq"
FAST = {"PORTWARD__JOBS__POLL": "100 ms", "PORTWARD__MAIL__FROM": "Clips <no-reply@clips.example>", "PORTWARD__MAIL__HOST": "127.0.0.1"}


CATALOGUE = """
format = 1
edition = "2026-01-01"
document = "data.json"

[subject]
type = "integer"

[source.shop]
kind = "sqlite"
url = "sqlite:shop.db"

[[category]]
name = "orders"
scope = "portability.orders"
title = { en = "Orders" }
text = { en = "What you ordered" }

[[section]]
categories = ["orders"]
path = ["Orders"]
source = "shop"
shape = "list"
empty = "[]"
owner = "customer"
query = "select customer from orders where customer = :subject"
"""


class Serve:
    """`portward serve` on a folder of its own: nothing in it sends mail but what a test asks for."""

    def __init__(self, env):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="portward-mail-"))
        port, ops = free_port(), free_port()
        self.base, self.ops = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{ops}"
        (self.folder / "catalog.toml").write_text(CATALOGUE)
        with sqlite3.connect(self.folder / "shop.db") as shop:
            shop.execute("create table orders (customer integer)")
        listen = f'[server]\nlisten = "127.0.0.1:{port}"\nops_listen = "127.0.0.1:{ops}"\n[sandbox]\nenabled = false\n'
        (self.folder / "portward.toml").write_text(listen)
        self.env = {**os.environ, **env}
        self.process = None

    def start(self):
        with open(self.folder / "log", "ab") as log:
            command = [kit.binary(), "serve"]
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if not until(self.ready, 60):
            self.kill()
            raise RuntimeError(f"portward serve does not get ready: {self.log()[-2000:]}")
        return self

    def ready(self):
        try:
            return urllib.request.urlopen(f"{self.ops}/readyz", timeout=5).status == 200
        except OSError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def log(self):
        return (self.folder / "log").read_text()

    def stored(self):
        """Everything in the metadata store, as bytes."""
        return b"".join(path.read_bytes() for path in self.folder.glob("portward.db*"))

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Sink:
    """A mail server that keeps what it is given, and does as it is told. Hooks of aiosmtpd; `trouble` maps a step to what it answers."""

    def __init__(self):
        self.mails = []
        self.trouble = {}
        self.passwords = {PASSWORD}
        self.tries = collections.Counter()

    def _answer(self, step, session):
        self.tries[step] += 1
        answer = self.trouble.get(step)
        return answer(session) if callable(answer) else answer

    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = self._answer("MAIL", session)
        if answer:
            return answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self._answer("RCPT", address)
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        answer = self._answer("DATA", envelope)
        if hasattr(answer, "__await__"):
            answer = await answer
        if answer and not answer.startswith("2"):
            return answer
        self.mails.append((envelope.mail_from, tuple(envelope.rcpt_tos), bytes(envelope.content), session.ssl is not None, session.authenticated))
        if answer == "299 hang up":
            server.transport.abort()
        return "250 OK"

    def authenticator(self, server, session, envelope, mechanism, auth_data):
        self.tries["AUTH"] += 1
        good = auth_data.login == USER.encode() and auth_data.password.decode() in self.passwords
        return AuthResult(success=good, handled=False)

    def to(self, address):
        return [mail for mail in self.mails if mail[1] == (address,)]

    def counts(self):
        return collections.Counter(mail[1][0] for mail in self.mails)


class Silent:
    """Takes connections and never greets."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.taken = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                self.taken.append(self.listener.accept()[0])
        except OSError:
            pass

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.taken:
            connection.close()


class Server:
    """A listener with a sink behind it, which can be stopped and started again at the same port."""

    def __init__(self, sink, port=None, tls=None, **smtp):
        self.sink, self.tls, self.smtp = sink, tls, smtp
        self.port = port or free_port()
        self.controller = None

    def start(self):
        self.controller = Controller(self.sink, hostname="127.0.0.1", port=self.port, ssl_context=self.tls, **self.smtp)
        self.controller.start()
        return self

    def stop(self):
        if self.controller:
            self.controller.stop(no_assert=True)
            self.controller = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def admin(dev, *args):
    command = [kit.binary(), "admin", "--json", *args]
    done = subprocess.run(command, cwd=dev.folder, env=dev.env, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"admin {args} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def send(dev, *addresses):
    for address in addresses:
        admin(dev, "notices", "test", address)


def states(dev):
    return {row["to"]: row for row in admin(dev, "notices", "list")}


def metric(dev, result):
    with urllib.request.urlopen(f"{dev.ops}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(rf'^portward_mails_total\{{result="{result}"\}} (\d+)', text, re.M)
    return int(found[1]) if found else 0


def environment(server, **more):
    return {**FAST, "PORTWARD__MAIL__PORT": str(server.port), **{f"PORTWARD__MAIL__{key.upper()}": value for key, value in more.items()}}


def contexts():
    """A certificate for 127.0.0.1, and the file of the authority that signed it."""
    files, _ = kit.certificate(["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["server.pem"], files["server.key"])
    return context, files["ca.pem"]


def people(prefix, count):
    return [f"{prefix}{number}@people.example" for number in range(count)]


def plain(check):
    sink = Sink()
    with Server(sink) as server, Serve(environment(server, tls="none")) as dev:
        wanted = people("plain", 12)
        send(dev, *wanted)
        check(until(lambda: len(sink.mails) >= 12), "every mail arrives", len(sink.mails))
        time.sleep(1)
        check.equal(sink.counts(), collections.Counter(wanted), "each once, one recipient a mail")
        sender, _, content, encrypted, _ = sink.mails[0]
        check.equal(sender, "no-reply@clips.example", "the envelope's sender is the configured one")
        check(not encrypted, "in the open, as configured")
        mail = email.message_from_bytes(content, policy=email.policy.default)
        check.equal(mail["From"], "Clips <no-reply@clips.example>", "so does the header say")
        check.equal(mail["Auto-Submitted"], "auto-generated", "no machine is to answer it")
        check(mail["Date"].datetime is not None, "it has a date", mail["Date"])
        check(re.fullmatch(r"<test\.\d+@127\.0\.0\.1>", mail["Message-ID"]), "and a name of its own", mail["Message-ID"])
        check.equal(len({email.message_from_bytes(held[2])["Message-ID"] for held in sink.mails}), 12, "which no other mail has")
        check.equal(mail.get_content_type(), "multipart/alternative", "it is text and a page")
        check.equal([part.get_content_type() for part in mail.iter_parts()], ["text/plain", "text/html"], "the page last, as the better one")
        check(not mail.defects and not any(part.defects for part in mail.iter_parts()), "without defects", mail.defects)
        text = mail.get_body(("plain",)).get_content()
        check(dev.base in text and "test" in text, "the text names the address under which we are reached", text)
        check(all(len(line) <= 998 for line in content.split(b"\r\n")), "no line is longer than SMTP allows")
        check(content.isascii(), "and nothing in it needs more than seven bits")
        check(until(lambda: all(row["state"] == "sent" for row in states(dev).values())), "the list says sent", states(dev))
        check.equal(metric(dev, "sent"), 12, "so does the metric")
        stored = dev.stored()
        check(b"A test mail from" not in stored, "what mails say is nowhere in the store")
        check("people.example" not in dev.log(), "no address is in the log")


def starttls(check):
    context, authority = contexts()
    sink = Sink()
    bare = Server(sink).start()
    try:
        with Serve(environment(bare, tls="starttls", ca_file=authority)) as dev:
            send(dev, *people("tls", 3))
            check(until(lambda: all(row["attempts"] > 0 for row in states(dev).values())), "a server without STARTTLS is tried")
            check.equal(sink.tries["MAIL"], 0, "and given nothing")
            errors = {row["last_error"] for row in states(dev).values()}
            check(all("STARTTLS" in error for error in errors), "the list says why", errors)
            bare.stop()
            with Server(sink, port=bare.port, tls_context=context, require_starttls=True):
                check(until(lambda: len(sink.mails) >= 3), "once it can, every mail arrives", states(dev))
                time.sleep(1)
                check.equal(set(sink.counts().values()), {1}, "each once")
                check(all(encrypted for *_, encrypted, _ in sink.mails), "encrypted")
    finally:
        bare.stop()
    # Nobody vouches for its certificate.
    with Server(Sink(), tls_context=context, require_starttls=True) as server, Serve(environment(server, tls="starttls")) as dev:
        send(dev, "unknown@people.example")
        check(until(lambda: states(dev)["unknown@people.example"]["attempts"] > 0), "a server with an unknown certificate is tried")
        check.equal(server.sink.tries["MAIL"], 0, "and given nothing")


def sign_in(check):
    context, authority = contexts()
    sink = Sink()
    settings = {"tls": "tls", "ca_file": authority, "user": USER}
    with Server(sink, tls=context, authenticator=sink.authenticator, auth_required=True, auth_require_tls=False) as server:
        folder = pathlib.Path(authority).parent
        (folder / "password").write_text(PASSWORD + "\n")
        with Serve(environment(server, **settings, password_file=str(folder / "password"))) as dev:
            send(dev, *people("auth", 3))
            check(until(lambda: len(sink.mails) >= 3), "over TLS with a password from a file, every mail arrives", states(dev))
            check(all(signed for *_, signed in sink.mails), "signed in")
            check(PASSWORD not in dev.log() and PASSWORD.encode() not in dev.stored(), "the password is nowhere")
        sink.passwords, before = {"another"}, len(sink.mails)
        with Serve(environment(server, **settings, password=PASSWORD)) as dev:
            send(dev, "wrong@people.example")
            check(until(lambda: states(dev)["wrong@people.example"]["attempts"] > 0), "a wrong password is tried")
            row = states(dev)["wrong@people.example"]
            check(row["state"] == "waiting" and "AUTH" in row["last_error"] and "535" in row["last_error"], "and loses nothing, though the server says 535", row)
            sink.passwords.add(PASSWORD)
            check(until(lambda: len(sink.mails) > before), "once the password is right, the mail arrives")
            check(PASSWORD not in dev.log(), "the password is not in the log")


def away(check):
    sink = Sink()
    server = Server(sink)
    with Serve(environment(server, tls="none")) as dev:
        wanted = people("away", 15)
        send(dev, *wanted)
        check(until(lambda: all(row["attempts"] >= 2 for row in states(dev).values())), "a server that is away is tried again and again", states(dev))
        check(all(row["state"] == "waiting" for row in states(dev).values()), "no mail is given up")
        with server:
            check(until(lambda: len(sink.mails) >= 15, 60), "when it is back, every mail arrives", sink.counts())
            time.sleep(2)
            check.equal(sink.counts(), collections.Counter(wanted), "each once")
            check(until(lambda: all(row["state"] == "sent" for row in states(dev).values())), "and the list says so", states(dev))
        check(metric(dev, "failed") >= 30, "the metric counts the failures", metric(dev, "failed"))
        check("people.example" not in dev.log(), "no address is in the log")


def later(check):
    """4xx: later, at each step."""
    sink = Sink()
    with Server(sink) as server, Serve(environment(server, tls="none")) as dev:
        for step, answer in (("MAIL", "421 4.3.2 not now"), ("RCPT", "450 4.2.1 try later"), ("DATA", "451 4.3.0 try later")):
            sink.trouble = {step: answer}
            to = f"later-{step.lower()}@people.example"
            send(dev, to)
            check(until(lambda: states(dev)[to]["attempts"] >= 2), f"{answer} at {step}: tried again", states(dev)[to])
            check.equal(states(dev)[to]["state"], "waiting", "and not given up")
            sink.trouble = {}
            check(until(lambda: sink.to(to)), "then it arrives")
            check(until(lambda: states(dev)[to]["state"] == "sent"), "and is sent")
            check.equal(len(sink.to(to)), 1, "once")


def never(check):
    """5xx: never, if it is about the recipient or the mail; if it is about us, the mail waits."""
    sink = Sink()
    with Server(sink) as server, Serve(environment(server, tls="none")) as dev:
        sink.trouble = {"RCPT": lambda address: f"550 5.1.1 <{address}>: no such user" if address.startswith("gone") else None}
        send(dev, "gone@people.example", "here@people.example")
        check(until(lambda: states(dev)["gone@people.example"]["state"] == "given up"), "550 for the recipient is for good", states(dev))
        row = states(dev)["gone@people.example"]
        check(row["attempts"] == 1 and "550" in row["last_error"] and "@" not in row["last_error"], "at once; the list keeps the number and not the server's words", row)
        check(until(lambda: sink.to("here@people.example")), "others are not held up")
        check.equal(metric(dev, "given_up"), 1, "the metric counts it")
        check("mail given up" in dev.log() and "people.example" not in dev.log(), "the log says so, and names nobody")
        sink.trouble = {"DATA": "554 5.7.1 looks like spam"}
        send(dev, "spam@people.example")
        check(until(lambda: states(dev)["spam@people.example"]["state"] == "given up"), "554 for the mail is for good")
        sink.trouble = {"MAIL": "550 5.7.1 sender not allowed"}
        send(dev, "sender@people.example")
        check(until(lambda: states(dev)["sender@people.example"]["attempts"] >= 2), "550 for the sender is ours to mend", states(dev))
        check.equal(states(dev)["sender@people.example"]["state"], "waiting", "so the mail waits")
        sink.trouble = {}
        check(until(lambda: sink.to("sender@people.example")), "and arrives")


def slow(check):
    """A server that takes longer than the lease of a job and than one step may take."""
    import asyncio

    sink = Sink()

    def linger(_):
        return asyncio.sleep(7, "250 OK")

    env = {"PORTWARD__JOBS__LEASE": "2 s"}
    with Server(sink) as server, Serve({**environment(server, tls="none", timeout="2 s"), **env}) as dev:
        sink.trouble = {"DATA": linger}
        send(dev, "slow@people.example")
        check(until(lambda: sink.mails), "a server that looks long at a mail gets it")
        time.sleep(4)
        check.equal(len(sink.mails), 1, "once, although that took longer than the lease")
        check(until(lambda: states(dev)["slow@people.example"]["state"] == "sent"), "and it is sent", states(dev))
    silent = Silent()
    with Serve(environment(silent, tls="none", timeout="1 s")) as dev:
        send(dev, *people("silent", 3))
        check(until(lambda: all(row["attempts"] > 0 for row in states(dev).values())), "one that never greets is left after its time", states(dev))
        silent.stop()
        with Server(sink, port=silent.port):
            sink.trouble = {}
            check(until(lambda: len(sink.mails) >= 4), "once it speaks, every mail arrives")
            time.sleep(1)
            check.equal(len(sink.mails), 4, "once")


def lost(check):
    """The server takes a mail and hangs up before it says so: nobody can know, so it comes again, as the very same."""
    sink = Sink()
    with Server(sink) as server, Serve(environment(server, tls="none")) as dev:
        sink.trouble = {"DATA": "299 hang up"}
        send(dev, "lost@people.example")
        check(until(lambda: states(dev)["lost@people.example"]["attempts"] >= 1), "it is tried")
        sink.trouble = {}
        check(until(lambda: states(dev)["lost@people.example"]["state"] == "sent"), "and sent", states(dev))
        bodies = {mail[2] for mail in sink.to("lost@people.example")}
        check(len(sink.mails) >= 2 and len(bodies) == 1, "what came twice is the same, byte for byte", len(bodies))


def killed(check):
    """The program is killed while mails wait for a server that is away: they wait for the next start."""
    sink = Sink()
    server = Server(sink)
    with Serve(environment(server, tls="none")) as dev:
        wanted = people("killed", 5)
        send(dev, *wanted)
        check(until(lambda: all(row["attempts"] >= 1 for row in states(dev).values())), "a server that is away is tried")
        dev.kill()
        with server:
            time.sleep(1)
            check.equal(len(sink.mails), 0, "nobody sends while nobody works")
            dev.start()
            check(until(lambda: len(sink.mails) >= 5, 60), "the next start sends every mail", states(dev))
            time.sleep(2)
            check.equal(sink.counts(), collections.Counter(wanted), "each once")


def main():
    check = kit.Checks("mail")
    for part in (plain, starttls, sign_in, away, later, never, slow, lost, killed):
        check.attempt(part.__name__.replace("_", " "), lambda: part(check))
    check.finish()


if __name__ == "__main__":
    main()
