"""What the Python suites share: a running `portward dev`, a person at a browser, and a count of checks.

Standard library only, so that the suite of the independent client stays one.
"""

import html.parser
import http.client
import http.cookies
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[3]
ALL_SCOPES = ",".join(
    ["user.info.basic", "user.info.profile", "user.info.stats"]
    + [
        f"portability.{family}.{kind}"
        for family in ("all", "postsandprofile", "activity", "directmessages")
        for kind in ("single", "ongoing")
    ]
)


def binary():
    path = os.environ.get("PORTWARD_BIN") or ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug/portward"
    if not pathlib.Path(path).exists():
        sys.exit(f"{path} is missing: run `cargo build` or ./test, or set PORTWARD_BIN")
    return str(path)


class Dev:
    """A server of one's own on free ports; used as a context manager.

    PORTWARD_SUITE_STORE=postgres gives it a metadata store on TEST_DATABASE_URL instead of SQLite.
    """

    count = 0

    def __init__(self, *args, env=None):
        self.folder = tempfile.mkdtemp(prefix="portward-suite-")
        env = dict(env or {})
        self.store = None
        if os.environ.get("PORTWARD_SUITE_STORE") == "postgres":
            Dev.count += 1
            self.store = f"portward_suite_{os.getpid()}_{Dev.count}"
            psql(f"create database {self.store}")
            env["PORTWARD__STORE__URL"] = store_url(self.store)
        self.log_path = os.path.join(self.folder, "stderr.log")
        command = [binary(), "dev", "--json", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]
        command += ["--data-dir", os.path.join(self.folder, "data"), *args]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **env},
            )
        watchdog = threading.Timer(120, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        try:
            self.info = json.loads(line)
        except ValueError:
            self.process.kill()
            sys.exit(f"`portward dev --json` gave {line!r} and wrote:\n{self.log()[-4000:]}")
        self.base = self.info["base_url"].rstrip("/")

    def __getattr__(self, name):
        try:
            return self.__dict__["info"][name]
        except KeyError:
            raise AttributeError(name) from None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def person(self, size):
        return next(person for person in self.info["people"] if person["size"] == size)

    def redirect_uri(self):
        return next(uri for uri in self.info["redirect_uris"] if "*" not in uri)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.store:
            psql(f"drop database if exists {self.store} with (force)")
        shutil.rmtree(self.folder, ignore_errors=True)

    def stored(self):
        """Everything in the metadata store, as bytes."""
        if self.store:
            dump = subprocess.run(["pg_dump", "-a", store_url(self.store)], capture_output=True, check=True).stdout
            # Bytes are dumped as hexadecimal digits.
            return dump + b"".join(bytes.fromhex(digits.decode()) for digits in re.findall(rb"\\\\x((?:[0-9a-f]{2})+)", dump))
        return b"".join(path.read_bytes() for path in pathlib.Path(self.info["data_dir"]).glob("portward.db*"))


def store_url(name):
    server = os.environ.get("TEST_DATABASE_URL") or sys.exit("TEST_DATABASE_URL is not set: run this through ./test")
    return server.rsplit("/", 1)[0] + f"/{name}"


def psql(sql):
    """The server's own client, which is surely there."""
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", os.environ["TEST_DATABASE_URL"], "-c", sql]
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout.strip()


class Answer:
    """One HTTP answer."""

    def __init__(self, status, headers, body, url=""):
        self.status, self.headers, self.body, self.url = status, headers, body, url

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def __repr__(self):
        return f"{self.status} {self.text[:300]!r}"


def call(base, method, target, headers=None, body=None, connection=None, ca=None, timeout=30):
    """One request, sent as it is given: no redirects, no defaults beyond Host and Content-Length."""
    parts = urllib.parse.urlsplit(base)
    own = connection is None
    if own:
        connection = connect(base, ca, timeout)
    connection.putrequest(method, target, skip_accept_encoding=True)
    if isinstance(body, str):
        body = body.encode()
    for name, value in (headers or {}).items():
        connection.putheader(name, value)
    if body is not None or method not in ("GET", "HEAD"):
        connection.putheader("Content-Length", str(len(body or b"")))
    try:
        connection.endheaders(body)
    except (BrokenPipeError, ConnectionResetError):
        pass  # a body over the limit is answered before it is read to its end
    response = connection.getresponse()
    answer = Answer(response.status, response.headers, response.read(), urllib.parse.urljoin(base, target))
    if own:
        connection.close()
    return answer


def connect(base, ca=None, timeout=30):
    parts = urllib.parse.urlsplit(base)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca)
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)


def raw(base, request, timeout=30, end=False):
    """Bytes as they are, for what no HTTP library would send. Gives an Answer, or None when the server hung up.

    With `end` the sending side is closed afterwards, as by a caller that died.
    """

    parts = urllib.parse.urlsplit(base)
    with socket.create_connection((parts.hostname, parts.port), timeout) as connection:
        try:
            connection.sendall(request)
            if end:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        response = http.client.HTTPResponse(connection)
        try:
            response.begin()
            return Answer(response.status, response.headers, response.read())
        except (http.client.HTTPException, ConnectionError):
            return None


class Forms(html.parser.HTMLParser):
    """The forms of a page: action, method, and (kind, name, value, checked) of each named field."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.open = [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.open = True
            self.forms.append({"action": attrs.get("action") or "", "method": attrs.get("method", "get"), "fields": []})
        elif tag in ("input", "button") and self.open and attrs.get("name"):
            kind = attrs.get("type") or ("submit" if tag == "button" else "text")
            value = attrs.get("value", "on" if kind == "checkbox" else "") or ""
            self.forms[-1]["fields"].append((kind, attrs["name"], value, "checked" in attrs))

    def handle_endtag(self, tag):
        if tag == "form":
            self.open = False


class Browser:
    """A person who signs in and decides by the forms of the pages."""

    def __init__(self, dev, person, ca=None):
        self.dev, self.person, self.ca = dev, person, ca
        self.cookies = {}
        self.seen = []

    def request(self, method, url, fields=None, headers=None):
        parts = urllib.parse.urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        headers = dict(headers or {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if fields is not None:
            body = urllib.parse.urlencode(fields)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = base
        answer = call(base, method, target, headers, body, ca=self.ca)
        answer.url = url
        for header in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in http.cookies.SimpleCookie(header).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        self.seen.append((method, url, answer.status))
        return answer

    def visit(self, url, scopes="all", decision="allow"):
        """Goes on until sent to the app or another origin (gives that address, a string) or left at a page (an Answer)."""
        origin = urllib.parse.urlsplit(url)[:2]
        wanted = query(url).get("redirect_uri")
        answer = self.request("GET", url)
        for _ in range(12):
            location = answer.headers.get("Location")
            if location and 300 <= answer.status < 400:
                target = urllib.parse.urljoin(answer.url, location)
                if urllib.parse.urlsplit(target)[:2] != origin or target.partition("?")[0] == wanted:
                    return target
                answer = self.request("GET", target)
                continue
            form = self.fill(answer, scopes, decision)
            if form is None:
                return answer
            action, fields = form
            answer = self.request("POST", urllib.parse.urljoin(answer.url, action), fields)
        raise AssertionError(f"more than twelve steps: {self.seen}")

    def fill(self, answer, scopes, decision):
        for form in Forms(answer.text).forms:
            fields = [(name, value) for kind, name, value, _ in form["fields"] if kind == "hidden"]
            names = {name for _, name, _, _ in form["fields"]}
            if "password" in names:
                return form["action"], fields + [
                    ("username", self.person["username"]),
                    ("password", self.person["password"]),
                ]
            if "decision" in names:
                boxes = [value for kind, name, value, _ in form["fields"] if kind == "checkbox" and name == "scope"]
                ticked = [value for value in boxes if decision == "allow" and (scopes == "all" or value in scopes)]
                return form["action"], fields + [("scope", scope) for scope in ticked] + [("decision", decision)]
        return None


def query(url):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, keep_blank_values=True))


def authorize_url(dev, scope=ALL_SCOPES, base=None, **more):
    parameters = {
        "client_key": dev.client_key,
        "response_type": "code",
        "scope": scope,
        "redirect_uri": dev.redirect_uri(),
        "state": "st",
        **more,
    }
    parameters = {name: value for name, value in parameters.items() if value is not None}
    return f"{base or dev.base}/v2/auth/authorize/?{urllib.parse.urlencode(parameters)}"


def form_post(dev, path, fields, headers=None, ca=None):
    body = fields if isinstance(fields, (str, bytes)) else urllib.parse.urlencode(fields)
    headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    return call(dev.base, "POST", path, headers, body, ca=ca)


def credentials(dev):
    return {"client_key": dev.client_key, "client_secret": dev.client_secret}


def tokens(dev, size="typical", scope=ALL_SCOPES, scopes="all", person=None):
    """Sign-in, consent and code exchange in one."""
    callback = Browser(dev, person or dev.person(size)).visit(authorize_url(dev, scope), scopes)
    if not isinstance(callback, str):
        raise AssertionError(f"the journey ended at a page: {callback.url} {callback!r}")
    answer = form_post(
        dev,
        "/v2/oauth/token/",
        {
            **credentials(dev),
            "grant_type": "authorization_code",
            "code": query(callback)["code"],
            "redirect_uri": dev.redirect_uri(),
        },
    )
    if answer.status != 200:
        raise AssertionError(f"token: {answer!r}")
    return answer.json


class Checks:
    """Counts checks; says each that fails, and one line for each group."""

    def __init__(self, suite):
        self.suite, self.passed, self.failed, self.group = suite, 0, 0, None

    def section(self, name):
        self.close()
        self.group = (name, self.passed, self.failed)

    def close(self):
        if self.group:
            name, passed, failed = self.group
            bad = self.failed - failed
            print(f"  {name}: {self.passed - passed} ok" + (f", {bad} FAILED" if bad else ""), flush=True)
        self.group = None

    def __call__(self, condition, what, seen=""):
        if condition:
            self.passed += 1
        else:
            self.failed += 1
            where = f"{self.group[0]}: " if self.group else ""
            print(f"  FAIL {where}{what}" + (f"  -- {seen!r}" if seen != "" else ""), flush=True)
        return bool(condition)

    def equal(self, seen, wanted, what):
        return self(seen == wanted, what, f"{seen!r} instead of {wanted!r}")

    def attempt(self, what, function):
        """Runs one group; an exception is one failure and not the end of the suite."""
        self.section(what)
        try:
            function()
        except Exception as error:
            import traceback

            self(False, f"{type(error).__name__}: {error}", traceback.format_exc(limit=-3))
        self.close()

    def finish(self):
        self.close()
        print(f"{self.suite}: {self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed or not self.passed else 0)


def certificate(hosts):
    """A certificate for these hosts, signed by an authority made for this run: paths by name, and the folder."""
    folder = tempfile.mkdtemp(prefix="portward-tls-")
    path = {name: os.path.join(folder, name) for name in ("ca.key", "ca.pem", "server.key", "server.csr", "server.pem", "ext")}

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(
        *["req", "-x509", *key, "-keyout", path["ca.key"], "-out", path["ca.pem"], "-days", "2"],
        *["-subj", "/CN=Portward tests", "-addext", "basicConstraints=critical,CA:TRUE"],
        *["-addext", "keyUsage=critical,keyCertSign"],
    )
    openssl("req", *key, "-keyout", path["server.key"], "-out", path["server.csr"], "-subj", "/CN=localhost")
    names = ",".join(f"DNS:{host}" for host in hosts)
    with open(path["ext"], "w", encoding="ascii") as ext:
        ext.write(f"subjectAltName={names},IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
    openssl(
        *["x509", "-req", "-in", path["server.csr"], "-CA", path["ca.pem"], "-CAkey", path["ca.key"], "-CAcreateserial"],
        *["-days", "2", "-extfile", path["ext"], "-out", path["server.pem"]],
    )
    return path, folder


def map_hosts(base, hosts):
    """As lines in /etc/hosts would, port included: these hosts lead to this server, and no other name leads anywhere."""
    parts = urllib.parse.urlsplit(base)
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        if isinstance(host, bytes):
            host = host.decode()
        if host in hosts:
            return real(parts.hostname, parts.port, *args, **kwargs)
        if host in ("127.0.0.1", "localhost", "::1", None):
            return real(host, port, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, f"{host} is not reached from a test")

    socket.getaddrinfo = getaddrinfo
