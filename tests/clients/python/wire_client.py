"""An independent client of the data endpoints: add, check, cancel, download and their errors, over plain HTTP; many at
once; and what a withdrawal leaves of them.

Written from the wire's description alone, with the standard library only; it shares no code with the server.
"""

import hashlib
import hmac
import http.server
import io
import json
import re
import socket
import threading
import time
import urllib.parse
import zipfile

import portward_dev as kit

CATEGORIES = ["all_data", "video", "profile", "activity", "direct_message"]
CHECK_FIELDS = ["request_id", "apply_time", "collect_time", "status", "data_format", "category_selection_list"]
STATUSES = {"pending", "downloading", "expired", "cancelled"}
LOG_ID = re.compile(r"\d{14}[0-9A-F]{20}")
ROOTS = [
    "Comment",
    "Direct Message",
    "Income+ Wallet",
    "Likes and Favorites",
    "Location Review",
    "Post",
    "Profile And Settings",
    "TikTok Live",
    "TikTok Shop",
    "Your Activity",
]
JSON_TYPE = {"Content-Type": "application/json"}
UNSET = object()


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes webhooks and keeps them."""

    calls = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.calls.append((self.headers, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


class App:
    """The third-party app: a token and the four calls."""

    def __init__(self, dev, check, token):
        self.dev, self.check, self.token = dev, check, token

    def post(self, name, body=UNSET, fields=UNSET, headers=None, token=UNSET, slash=True, query="", connection=None, method="POST"):
        target = f"/v2/user/data/{name}" + ("/" if slash else "")
        if fields is not UNSET:
            query = f"fields={fields}" + (f"&{query}" if query else "")
        if query:
            target += "?" + query
        send = dict(JSON_TYPE if headers is None else headers)
        token = self.token if token is UNSET else token
        if token is not None:
            send["Authorization"] = f"Bearer {token}"
        if body is UNSET:
            body = None
        elif not isinstance(body, (str, bytes, type(None))):
            body = json.dumps(body)
        return kit.call(self.dev.base, method, target, send, body, connection=connection)

    def add(self, categories=("profile",), data_format="json", **more):
        body = {"data_format": data_format, "category_selection_list": list(categories)}
        return self.post("add", body, fields="request_id", **more)

    def new(self, categories=("profile",), data_format="json"):
        answer = self.add(categories, data_format)
        self.ok(answer, "add")
        return answer.json["data"]["request_id"]

    def status(self, request_id):
        return self.post("check", {"request_id": request_id}, fields="status").json["data"]["status"]

    def ready(self, request_id, limit=120):
        for _ in range(limit * 5):
            status = self.status(request_id)
            if status != "pending":
                return status
            time.sleep(0.2)
        return "pending"

    def ok(self, answer, what, data=True):
        body = answer.json
        good = answer.status == 200 and isinstance(body, dict) and isinstance(body.get("error"), dict)
        if not self.check(good and body["error"].get("code") == "ok", f"{what}: ok", answer):
            return False
        self.envelope(answer, what)
        self.check.equal(body["error"]["message"], "", f"{what}: no message")
        self.check(("data" in body) == data, f"{what}: data is {'there' if data else 'left out'}", body)
        return True

    def error(self, answer, status, code, what, data=True):
        """The dialect of this API: nested error, strings, log_id, never the flat one."""
        wanted = status if isinstance(status, tuple) else (status,)
        body = answer.json
        if not self.check(answer.status in wanted, f"{what}: HTTP {status}", answer):
            return
        if not self.check(isinstance(body, dict) and isinstance(body.get("error"), dict), f"{what}: the nested struct", answer):
            return
        self.check.equal(body["error"].get("code"), code, f"{what}: code")
        self.check(bool(body["error"].get("message")), f"{what}: a message that helps", body)
        self.check("error_description" not in body, f"{what}: not the other dialect", body)
        self.check(body.get("data", {}) == {}, f"{what}: no data", body)
        self.envelope(answer, what)

    def envelope(self, answer, what):
        error = answer.json["error"]
        self.check(
            all(isinstance(error.get(key), str) for key in ("code", "message", "log_id")), f"{what}: three strings", error
        )
        self.check(LOG_ID.fullmatch(error.get("log_id") or ""), f"{what}: the form of log_id", error.get("log_id"))
        self.check.equal(answer.headers.get("x-tt-logid"), error.get("log_id"), f"{what}: x-tt-logid")
        self.check("json" in (answer.headers.get("Content-Type") or ""), f"{what}: content type", answer.headers.get("Content-Type"))


def add(app, check):
    first = app.add(["profile", "direct_message"])
    if app.ok(first, "add"):
        request_id = first.json["data"]["request_id"]
        check(isinstance(request_id, int) and 0 < request_id < 2**53, "request_id is a number below 2^53", request_id)
        check.equal(list(first.json["data"]), ["request_id"], "and all that comes back")
    second = app.add(["profile", "direct_message"])
    check(second.json["data"] != first.json["data"], "with an ongoing scope every add is a new request")
    for category in CATEGORIES + ["direct_messages"]:
        app.ok(app.add([category], "text"), f"add {category} as text")
    app.ok(app.add(CATEGORIES), "add of all categories")
    app.ok(app.add(slash=False), "add without the slash")
    app.ok(app.add(headers={"Content-Type": "application/json; charset=UTF-8"}), "add with a charset")

    keyed = {**JSON_TYPE, "Idempotency-Key": "0f0f-1"}
    one, two = app.add(headers=keyed), app.add(headers=keyed)
    check.equal(one.json and one.json.get("data"), two.json and two.json.get("data"), "an Idempotency-Key gives the same request")


def add_errors(app, check):
    good = {"data_format": "json", "category_selection_list": ["profile"]}

    def bad(what, body, fields="request_id", status=400, code="invalid_params", **more):
        app.error(app.post("add", body, fields=fields, **more), status, code, what)

    for name in good:
        bad(f"no {name}", {key: value for key, value in good.items() if key != name})
    for value in (None, 1, True, "", "xml", "JSON ", ["json"], {"a": 1}, "x" * 1_000_000, "json\0"):
        shown = f"data_format {str(value)[:12]!r}"
        bad(shown, {**good, "data_format": value}, status=(400, 413))
    for value in (None, 1, "profile", [], {}, [None], [1], [["profile"]], [""], ["unknown"], ["profile", "unknown"], ["profile\0"]):
        bad(f"category_selection_list {value!r}", {**good, "category_selection_list": value})
    bad("a hundred thousand categories", {**good, "category_selection_list": ["profile"] * 100_000}, status=(400, 413))
    bad("an unknown field in fields", good, fields="request_id,nonsense")
    for what, body in [
        ("an empty body", b""),
        ("not JSON", b"data_format=json"),
        ("half JSON", b'{"data_format":'),
        ("JSON and more", b'{"data_format":"json","category_selection_list":["profile"]}}'),
        ("an array", b"[1]"),
        ("a string", b'"x"'),
        ("null", b"null"),
        ("invalid UTF-8", b'{"data_format":"\xff\xfe","category_selection_list":["profile"]}'),
        ("a NUL", b'{"data_format":"json\0","category_selection_list":["profile"]}'),
        ("only NULs", b"\0" * 100),
        ("lone surrogates", b'{"data_format":"\\ud800","category_selection_list":["profile"]}'),
        ("very deep JSON", b'{"data_format":"json","category_selection_list":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
        ("very deep JSON beside", b'{"x":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b',"data_format":"json"}'),
        ("the same key twice", b'{"data_format":"json","data_format":"text","category_selection_list":["profile"]}'),
    ]:
        bad(what, body, status=(400, 413))
    app.error(app.post("add", b" " * 8_000_000 + b"{}", fields="request_id"), 413, "invalid_params", "eight megabytes")
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "\xff"):
        answer = app.post("add", json.dumps(good), fields="request_id", headers={"Content-Type": kind})
        app.error(answer, (400, 415), "invalid_params", f"content type {kind}")
    app.ok(app.add(), "and the server goes on")


def check_call(app, check):
    request_id = app.new(["profile"])
    check.equal(app.ready(request_id), "downloading", "the request becomes ready")
    for slash in (True, False):
        answer = app.post("check", {"request_id": request_id}, fields=",".join(CHECK_FIELDS), slash=slash)
        app.ok(answer, f"check, slash {slash}")
        data = answer.json.get("data", {})
        check.equal(set(data), set(CHECK_FIELDS), "all six fields")
        check.equal(data.get("request_id"), request_id, "request_id")
        check.equal(data.get("status"), "downloading", "status")
        check.equal(data.get("data_format"), "json", "data_format")
        check.equal(data.get("category_selection_list"), ["profile"], "category_selection_list")
        now = time.time()
        for name in ("apply_time", "collect_time"):
            seconds = data.get(name)
            check(type(seconds) is int and now - 600 < seconds < now + 60, f"{name} is in Unix seconds", seconds)
    for fields in (
        "status",
        "request_id",
        "request_id,status",
        "status,request_id",
        "request_id%2Cstatus",
        "request_id%2cstatus%2Capply_time%2ccollect_time",
        "request_id,status,apply_time,collect_time",
        "%73tatus",
        ",".join(reversed(CHECK_FIELDS)),
    ):
        answer = app.post("check", {"request_id": request_id}, fields=fields)
        if app.ok(answer, f"fields={fields}"):
            wanted = set(fields.replace("%2C", ",").replace("%2c", ",").replace("%73", "s").split(","))
            check.equal(set(answer.json["data"]), wanted, f"fields={fields}: only what was asked for")
    answer = app.post("check", {"request_id": request_id})
    check(answer.status == 200 and set(answer.json["data"]) == set(CHECK_FIELDS), "without fields everything comes", answer)
    answer = app.post("check", {"request_id": str(request_id)}, fields="request_id,status")
    app.ok(answer, "an id as a string")
    check.equal(answer.json["data"].get("request_id"), request_id, "comes back as a number")
    app.ok(app.post("check", {"request_id": request_id, "more": [1]}, fields="status"), "unknown keys do no harm")


def bad_ids(app, check, foreign):
    values = [
        *[UNSET, None, True, [], {}, "", " ", "text", "12x", "-1", "1.5", "0x10", "١٢٣", "9" * 400, "1\0"],
        *[0, -1, 1.5, 1e300, 12345, 2**53, 2**63, 10**40, foreign, str(foreign)],
    ]
    for name in ("check", "cancel", "download"):
        fields = "status" if name == "check" else UNSET
        data = name != "cancel"
        for value in values:
            body = {} if value is UNSET else {"request_id": value}
            answer = app.post(name, body, fields=fields)
            shown = "absent" if value is UNSET else ("another person's" if value in (foreign, str(foreign)) else repr(value)[:24])
            app.error(answer, 400, "invalid_params", f"{name} with id {shown}", data)
        answer = app.post(name, b'{"request_id": 1' + b"0" * 1_000_000 + b"}", fields=fields)
        app.error(answer, (400, 413), "invalid_params", f"{name} with a number of a million digits", data)
    for query in ("request_id=", "request_id=x", "request_id=-1", f"request_id={foreign}", "request_id=%00", "request_id=%FF"):
        app.error(app.post("cancel", query=query), 400, "invalid_params", f"cancel?{query}", False)
    check.equal(app.post("check", {"request_id": foreign}, fields="status").status, 400, "another person's request is not told apart")


def cancel(app, check):
    def cancelled(what, request_id, answer):
        app.ok(answer, what, data=False)
        check.equal(app.status(request_id), "cancelled", f"{what}: status")

    for headers in (JSON_TYPE, {}):
        for slash in (True, False):
            request_id = app.new()
            what = f"cancel by query, {headers or 'no content type'}, slash {slash}"
            cancelled(what, request_id, app.post("cancel", query=f"request_id={request_id}", headers=headers, slash=slash))
    for value in (int, str):
        request_id = app.new()
        cancelled(f"cancel by body as {value.__name__}", request_id, app.post("cancel", {"request_id": value(request_id)}))
    request_id, other = app.new(), app.new()
    answer = app.post("cancel", {"request_id": request_id}, query=f"request_id={other}")
    check(answer.status in (200, 400), "body and query that disagree", answer)
    if answer.status == 200:
        check.equal((app.status(request_id), app.status(other) != "cancelled"), ("cancelled", True), "the body wins")
    app.ok(app.post("cancel", {"request_id": request_id}), "cancelling twice is ok", data=False)
    app.error(app.post("download", {"request_id": request_id}), 400, "invalid_params", "download of a cancelled one")

    ready = app.new()
    app.ready(ready)
    cancelled("cancel of a ready one", ready, app.post("cancel", {"request_id": ready}))
    app.error(app.post("download", {"request_id": ready}), 400, "invalid_params", "its archive is gone")
    app.error(app.post("cancel"), 400, "invalid_params", "cancel without an id", False)
    app.error(app.post("cancel", headers={}), 400, "invalid_params", "cancel without id and content type", False)


def download(app, check):
    for data_format, categories in (("json", ["all_data"]), ("json", ["activity", "video"]), ("text", ["all_data"])):
        what = f"{data_format} of {'+'.join(categories)}"
        request_id = app.new(categories, data_format)
        if not check.equal(app.ready(request_id), "downloading", f"{what}: ready"):
            continue
        headers = {**JSON_TYPE, "Accept-Encoding": "gzip, br"}
        answer = app.post("download", {"request_id": request_id}, headers=headers)
        check.equal(answer.status, 200, f"{what}: 200")
        kind = answer.headers.get("Content-Type", "")
        check(kind and "json" not in kind.lower(), f"{what}: a content type without json", kind)
        check.equal(answer.headers.get("Content-Encoding"), None, f"{what}: no content encoding")
        check.equal(answer.headers.get("Content-Length"), str(len(answer.body)), f"{what}: Content-Length")
        check("attachment" in (answer.headers.get("Content-Disposition") or ""), f"{what}: an attachment")
        check(answer.headers.get("x-tt-logid"), f"{what}: x-tt-logid")
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            check.equal(archive.testzip(), None, f"{what}: whole")
            names = archive.namelist()
            if data_format == "json":
                check.equal(names, ["user_data_tiktok.json"], f"{what}: one member")
                roots = list(json.loads(archive.read(names[0])))
                wanted = ROOTS if categories == ["all_data"] else ["Post", "Your Activity"]
                check.equal(roots, wanted, f"{what}: the roots asked for, in order")
            else:
                check(all(name.startswith("TikTok/") for name in names), f"{what}: below TikTok/", names[:5])
                texts = [name for name in names if name.endswith(".txt")]
                check(len(texts) > 30 and len(names) - len(texts) < 30, f"{what}: text files", names[:5])
                for name in texts:
                    archive.read(name).decode("utf-8")
        again = app.post("download", {"request_id": str(request_id)}, slash=False)
        check(again.body == answer.body, f"{what}: the same bytes again, id as a string, no slash")
        etag = answer.headers.get("ETag")
        if check(etag, f"{what}: an ETag"):
            part = app.post("download", {"request_id": request_id}, headers={**JSON_TYPE, "Range": "bytes=10-19"})
            check.equal((part.status, part.body), (206, answer.body[10:20]), f"{what}: a range")
            check.equal(part.headers.get("Content-Range"), f"bytes 10-19/{len(answer.body)}", f"{what}: Content-Range")
            tail = app.post("download", {"request_id": request_id}, headers={**JSON_TYPE, "Range": "bytes=-7"})
            check.equal((tail.status, tail.body), (206, answer.body[-7:]), f"{what}: the last bytes")
            off = app.post("download", {"request_id": request_id}, headers={**JSON_TYPE, "Range": f"bytes={len(answer.body)}-"})
            check.equal(off.status, 416, f"{what}: a range past the end")
            odd = app.post("download", {"request_id": request_id}, headers={**JSON_TYPE, "Range": "bytes=9-3"})
            check(odd.status == 200 and odd.body == answer.body, f"{what}: a senseless range is ignored", odd.status)


def pending(dev, check):
    """The heavy person's archive takes long enough to be met while it is built."""
    app = App(dev, check, kit.tokens(dev, "heavy")["access_token"])
    request_id = app.new(["all_data"])
    answer = app.post("download", {"request_id": request_id})
    if app.status(request_id) == "pending" or answer.status != 200:
        app.error(answer, 400, "invalid_params", "download of a pending one")
    data = app.post("check", {"request_id": request_id}, fields="apply_time,collect_time").json["data"]
    check(all(type(value) is int for value in data.values()), "times are integers while pending", data)
    check.equal(app.ready(request_id, 300), "downloading", "a hundred thousand rows become ready")
    answer = app.post("download", {"request_id": request_id})
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        tree = json.loads(archive.read("user_data_tiktok.json"))
    check(len(tree["Your Activity"]["Watch History"]["VideoList"]) > 10_000, "with its rows")


def unauthorized(dev, app, check):
    client = kit.form_post(dev, "/v2/oauth/token/", {**kit.credentials(dev), "grant_type": "client_credentials"}).json
    dead = kit.tokens(dev)["access_token"]
    kit.form_post(dev, "/v2/oauth/revoke/", {**kit.credentials(dev), "token": dead})
    refresh = kit.tokens(dev)["refresh_token"]
    bodies = {"add": {"data_format": "json", "category_selection_list": ["profile"]}}
    tokens = {
        "no token": None,
        "an empty token": "",
        "an unknown token": "act.unknown",
        "garbage": "\x01\x02",
        "a token of 100,000 letters": "act." + "x" * 100_000,
        "a client token": client["access_token"],
        "a revoked token": dead,
        "a refresh token": refresh,
        "our token, cut": app.token[:-1],
        "our token, upper case": app.token.upper(),
    }
    for name in ("add", "check", "cancel", "download"):
        for what, token in tokens.items():
            answer = app.post(name, bodies.get(name, {"request_id": 1}), fields="request_id", token=token)
            if answer.status in (400, 431) and what in ("garbage", "a token of 100,000 letters") and not answer.body:
                continue  # refused by the HTTP layer
            app.error(answer, 401, "access_token_invalid", f"{name} with {what}", name != "cancel")
        headers = {**JSON_TYPE, "Authorization": "Basic YTpi"}
        answer = app.post(name, bodies.get(name, {"request_id": 1}), headers=headers, token=None)
        app.error(answer, 401, "access_token_invalid", f"{name} with Basic", name != "cancel")
    # The token is checked before the body.
    app.error(app.post("add", b"not JSON", token="act.unknown"), 401, "access_token_invalid", "a bad token and a bad body")


def scopes(dev, check):
    def holder(scope):
        return App(dev, check, kit.tokens(dev, scope=scope)["access_token"])

    activity = holder("user.info.basic,portability.activity.single")
    for categories in (["profile"], ["video"], ["direct_message"], ["all_data"], ["activity", "profile"]):
        activity.error(activity.add(categories), 401, "scope_not_authorized", f"{categories} with an activity scope")
    first = activity.add(["activity"])
    activity.ok(first, "the single is spent")
    request_id = first.json["data"]["request_id"]
    lost = activity.add(["activity"])
    check.equal(lost.json.get("data"), first.json["data"], "an identical add finds the request again")
    activity.error(activity.add(["activity"], "text"), 401, "scope_not_authorized", "another add finds it gone")
    check.equal(activity.ready(request_id), "downloading", "check works with no portability scope left")
    check.equal(activity.post("download", {"request_id": request_id}).body[:2], b"PK", "download, too")
    activity.ok(activity.post("cancel", {"request_id": request_id}), "and cancel", data=False)
    activity.error(activity.add(["activity"], "text"), 401, "scope_not_authorized", "which does not give the single back")

    both = holder("user.info.basic,portability.all.single,portability.activity.single")
    both.ok(both.add(["activity", "video"]), "all covers a mixed list")
    both.ok(both.add(["activity"], "text"), "and leaves the activity single")
    both.error(both.add(["activity"], "json"), 401, "scope_not_authorized", "until that is spent, too")

    none = holder("user.info.basic")
    none.error(none.add(["profile"]), 401, "scope_not_authorized", "no portability scope at all")
    foreign = holder("portability.activity.ongoing")
    foreign.error(foreign.add(["profile"]), 401, "scope_not_authorized", "the wrong scope")


def methods(app, check):
    for name in ("add", "check", "cancel", "download"):
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            for slash in (True, False):
                answer = app.post(name, method=method, slash=slash, body=b"" if method != "GET" else UNSET)
                app.error(answer, 405, "invalid_params", f"{method} {name}, slash {slash}", name != "cancel")
        answer = app.post(name, {"request_id": 1}, slash=False)
        check(not 300 <= answer.status < 400, f"{name} without the slash is not redirected", answer)
    for path in ("nonsense", "add/more", "..%2fadd"):
        app.error(app.post(path, {}), 404, "invalid_params", path)


def parameters(app, check):
    good = json.dumps({"data_format": "json", "category_selection_list": ["profile"]})
    request_id = app.new()
    for fields in ("", ",", "status,", "nonsense", "status,nonsense", "status;apply_time", "%00", "%FF", "STATUS", "x" * 20_000):
        answer = app.post("check", {"request_id": request_id}, fields=fields)
        if answer.status == 200:
            check(fields in ("", ",", "status,"), f"fields={fields[:20]!r} is refused", answer)
            app.ok(answer, f"fields={fields[:20]!r}")
        else:
            app.error(answer, (400, 414), "invalid_params", f"fields={fields[:20]!r}")
    answer = app.post("check", {"request_id": request_id}, query="fields=status&fields=request_id")
    if answer.status == 200:
        app.ok(answer, "fields twice")
    else:
        app.error(answer, 400, "invalid_params", "fields twice")
    answer = app.post("check", {"request_id": request_id}, query="fields=status&x=" + "y" * 1_000_000)
    check(answer.status in (200, 400, 413, 414, 431), "a query of a megabyte", answer)
    head = f"Host: x\r\nAuthorization: Bearer {app.token}\r\nContent-Type: application/json\r\nConnection: close\r\n"

    def sent(line, body=good.encode(), more=""):
        request = f"{line} HTTP/1.1\r\n{head}{more}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body
        return kit.raw(app.dev.base, request)

    for line in ("POST /v2/user/data/add/?fields=request_id\0", "POST /v2/user/data/add/?fields=\xff\xfe", "POST /v2/user/data/\xff/"):
        answer = sent(line)
        check(answer is None or 400 <= answer.status < 500, f"{line!r}", answer)
    answer = kit.raw(app.dev.base, b"POST /v2/user/data/add/ HTTP/1.1\r\n" + head.encode() + b"Content-Length: 50\r\n\r\n{}", end=True)
    check(answer is None or 400 <= answer.status < 500, "a body shorter than promised", answer)
    chunked = f"POST /v2/user/data/add/?fields=request_id HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n"
    answer = kit.raw(app.dev.base, chunked.encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(good), good.encode()))
    check(answer is not None and answer.status == 200, "a chunked body", answer)
    answer = sent("POST /v2/user/data/add/?fields=request_id", more="Authorization: Bearer act.other\r\n")
    check(answer is None or 400 <= answer.status < 500, "two Authorization headers", answer)
    app.ok(app.add(), "and the server goes on")


def at_once(count, function):
    """The same call from many threads at the same moment."""
    barrier = threading.Barrier(count)
    answers = [None] * count

    def one(index):
        barrier.wait()
        answers[index] = function(index)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def races(dev, check):
    tokens = kit.tokens(dev, scope="user.info.basic,portability.all.single")
    app = App(dev, check, tokens["access_token"])
    # Ten different questions, one single: one of them gets it.
    wanted = [(category, form) for category in ("all_data", "video", "profile", "activity", "direct_message") for form in ("json", "text")]
    answers = at_once(len(wanted), lambda index: app.add([wanted[index][0]], wanted[index][1]))
    good = [answer for answer in answers if answer.status == 200]
    check.equal(len(good), 1, "a single is spent once, however many ask at once")
    for answer in answers:
        if answer.status != 200:
            app.error(answer, 401, "scope_not_authorized", "the others")
    # The same question many times: one request.
    app = App(dev, check, kit.tokens(dev, scope="user.info.basic,portability.all.single")["access_token"])
    answers = at_once(10, lambda _: app.add(["all_data"]))
    ids = {answer.json["data"].get("request_id") for answer in answers if answer.status == 200}
    check.equal((len(ids), {answer.status for answer in answers}), (1, {200}), "an identical question finds the same request")

    ongoing = App(dev, check, kit.tokens(dev, scope="user.info.basic,portability.all.ongoing")["access_token"])
    keyed = {**JSON_TYPE, "Idempotency-Key": "the-same"}
    answers = at_once(10, lambda _: ongoing.add(headers=keyed))
    ids = {answer.json["data"].get("request_id") for answer in answers if answer.status == 200}
    check.equal(len(ids), 1, "an Idempotency-Key gives one request, also at once")
    other = App(dev, check, kit.tokens(dev, "empty")["access_token"])
    answer = other.add(headers=keyed)
    check(answer.status == 200 and answer.json["data"]["request_id"] not in ids, "but not to another person", answer)
    changed = ongoing.add(["video"], headers=keyed)
    if changed.status == 200:
        check(changed.json["data"]["request_id"] not in ids, "and not for another question", changed)
    else:
        ongoing.error(changed, (400, 409, 422), "invalid_params", "and not for another question")

    request_id = ongoing.new()
    answers = at_once(8, lambda _: ongoing.post("cancel", {"request_id": request_id}))
    check.equal({answer.status for answer in answers}, {200}, "cancelling at once")
    check.equal(ongoing.status(request_id), "cancelled", "cancels")

    request_id = ongoing.new(["all_data"])
    ongoing.ready(request_id)
    answers = at_once(8, lambda _: ongoing.post("download", {"request_id": request_id}))
    check.equal(len({answer.body for answer in answers}), 1, "eight downloads at once are one archive")
    check.equal({answer.status for answer in answers}, {200}, "whole")

    # One refresh token, presented ten times at once, and one code: one answer each at the most.
    for what, fields in (
        ("a refresh token", lambda: {"grant_type": "refresh_token", "refresh_token": kit.tokens(dev)["refresh_token"]}),
        ("a code", lambda: code_fields(dev)),
    ):
        body = {**kit.credentials(dev), **fields()}
        answers = at_once(10, lambda _: kit.form_post(dev, "/v2/oauth/token/", body))
        good = [answer for answer in answers if answer.status == 200]
        check(len(good) <= 1, f"{what} at once is answered once", [answer.status for answer in answers])
        check({answer.status for answer in answers} <= {200, 400}, f"{what}: nothing but yes and no", answers)


def code_fields(dev):
    callback = kit.Browser(dev, dev.person("typical")).visit(kit.authorize_url(dev))
    return {"grant_type": "authorization_code", "code": kit.query(callback)["code"], "redirect_uri": dev.redirect_uri()}


def withdrawal(dev, check):
    """The person withdraws: tokens die, open requests are cancelled, archives go, a running download ends."""
    person = dev.person("heavy")
    app = App(dev, check, kit.tokens(dev, "heavy")["access_token"])
    ready = app.new(["all_data"], "text")
    check.equal(app.ready(ready, 300), "downloading", "an archive is ready")
    size = int(app.post("download", {"request_id": ready}).headers["Content-Length"])

    # A download that reads a little and then waits.
    parts = urllib.parse.urlsplit(dev.base)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect((parts.hostname, parts.port))
    body = json.dumps({"request_id": ready})
    slow.sendall(
        f"POST /v2/user/data/download/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {app.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    got = len(slow.recv(2048))
    pending = app.new(["all_data"])

    browser = kit.Browser(dev, person)
    page = browser.request("GET", f"{dev.base}/connections")
    for _ in range(3):
        if 300 <= page.status < 400:
            page = browser.request("GET", urllib.parse.urljoin(page.url, page.headers["Location"]))
        elif form := browser.fill(page, "all", "allow"):
            page = browser.request("POST", urllib.parse.urljoin(page.url, form[0]), form[1])
    forms = [form for form in kit.Forms(page.text).forms if any(name == "grant" for _, name, _, _ in form["fields"])]
    if not check(forms, "the connection is listed", page):
        return
    fields = [(name, value) for kind, name, value, _ in forms[0]["fields"] if kind == "hidden"]
    target = urllib.parse.urljoin(page.url, forms[0]["action"])

    path = urllib.parse.urlsplit(target).path
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie, "Origin": "https://evil.example"}
    forged = kit.call(dev.base, "POST", path, headers, urllib.parse.urlencode(fields))
    check(400 <= forged.status < 500, "a withdrawal posted from another site is refused", forged)
    stranger = kit.Browser(dev, dev.person("empty"))
    stranger.visit(kit.authorize_url(dev, "user.info.basic"))
    stranger.request("POST", target, fields)
    check.equal(app.status(ready), "downloading", "and another person's session withdraws nothing of hers")

    Receiver.calls.clear()
    done = browser.request("POST", target, fields)
    check(done.status in (200, 302, 303), "withdrawn", done)
    app.error(app.post("check", {"request_id": ready}, fields="status"), 401, "access_token_invalid", "the token is dead")
    app.error(app.post("download", {"request_id": ready}), 401, "access_token_invalid", "for downloads, too")
    slow.settimeout(30)
    try:
        while chunk := slow.recv(65536):
            got += len(chunk)
    except (ConnectionResetError, TimeoutError) as error:
        check(not isinstance(error, TimeoutError), "the running download ends")
    slow.close()
    check(got < size, "the running download ends before its end", (got, size))

    again = App(dev, check, kit.tokens(dev, "heavy")["access_token"])
    for request_id, what in ((ready, "the ready request"), (pending, "the pending request")):
        answer = again.post("check", {"request_id": request_id}, fields="status")
        status = answer.json["data"].get("status") if answer.status == 200 else "cancelled"
        check(status in ("cancelled", "expired"), f"{what} is over for a new grant, too", answer)
        check(again.post("download", {"request_id": request_id}).status != 200, f"{what}: nothing to download")
    for _ in range(100):
        removed = [json.loads(body) for _, body in list(Receiver.calls) if b"authorization.removed" in body]
        if removed:
            break
        time.sleep(0.1)
    if check(removed, "authorization.removed is delivered"):
        check.equal(json.loads(removed[0]["content"])["reason"], 1, "with reason 1")


def secrecy(dev, app, check):
    """What the log says, and what it must not say."""
    answer = app.post("check", {"request_id": "nonsense"}, fields="status")
    log_id = answer.json["error"]["log_id"]
    time.sleep(0.3)
    log = dev.log()
    check(log_id in log, "the log has the log_id of an answer")
    tokens = kit.tokens(dev)
    kit.form_post(dev, "/v2/oauth/token/", {**kit.credentials(dev), "grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
    app.post("check", {"request_id": 1}, fields="status", query=f"access_token={app.token}")
    log = dev.log()
    secrets = {"client secret": dev.client_secret, "password": dev.people[0]["password"], "an app's token": app.token}
    secrets.update({name: tokens[name] for name in ("access_token", "refresh_token")})
    for name, secret in secrets.items():
        check(secret not in log, f"the log does not hold the {name}")
    check("\x1b[" not in log, "the log has no colours in a file")
    store = dev.stored()
    check(dev.client_key.encode() in store, "the store is where it is looked for", dev.data_dir)
    for name, secret in secrets.items():
        check(secret.encode() not in store, f"the store does not hold the {name}")


def webhooks(dev, app, check, receiver):
    Receiver.calls.clear()
    request_id = app.new()
    app.ready(request_id)
    for _ in range(100):
        mine = [call for call in list(Receiver.calls) if str(request_id) in call[1].decode()]
        if mine:
            break
        time.sleep(0.1)
    if not check(mine, "portability.download.ready is delivered", Receiver.calls):
        return
    headers, body = mine[0]
    event = json.loads(body)
    check.equal(event["event"], "portability.download.ready", "its name")
    check.equal(event["client_key"], dev.client_key, "its app")
    check(abs(event["create_time"] - time.time()) < 120, "its time", event)
    check(isinstance(event["content"], str), "content is a string", event)
    check.equal(json.loads(event["content"])["request_id"], request_id, "that holds JSON with the id as a number")
    signature = re.fullmatch(r"t=(\d+),s=([0-9a-f]{64})", headers["TikTok-Signature"] or "")
    if check(signature, "the form of the signature", headers["TikTok-Signature"]):
        stamp, given = signature.groups()
        wanted = hmac.new(dev.client_secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        check.equal(given, wanted, "the signature is by the client secret over time, dot and body")
        check(abs(int(stamp) - time.time()) < 300, "and fresh")

    Receiver.calls.clear()
    tokens = kit.tokens(dev)
    kit.form_post(dev, "/v2/oauth/revoke/", {**kit.credentials(dev), "token": tokens["access_token"]})
    for _ in range(100):
        removed = [json.loads(body) for _, body in list(Receiver.calls) if b"authorization.removed" in body]
        if removed:
            break
        time.sleep(0.1)
    if check(removed, "authorization.removed is delivered", Receiver.calls):
        check.equal(json.loads(removed[0]["content"])["reason"], 5, "with reason 5 for the developer's revocation")
        check.equal(removed[0]["user_openid"], tokens["open_id"], "for the person")


def quota(dev, check):
    """On a server of its own: a thousand calls of one type go through in a minute, the next does not, other types do."""
    app = App(dev, check, kit.tokens(dev)["access_token"])
    request_id = app.new()
    # Meanwhile somebody promises a body and sends two bytes of it.
    stalled = []
    start = f"POST /v2/user/data/add/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {app.token}\r\nContent-Length: 50\r\n\r\n{{}}"
    staller = threading.Thread(target=lambda: stalled.append(stall(dev, start.encode())))
    staller.start()
    connection = kit.connect(dev.base)
    started = time.monotonic()
    answers = []
    for _ in range(1000):
        answers.append(app.post("check", {"request_id": request_id}, fields="status", connection=connection))
    took = time.monotonic() - started
    refused = [index for index, answer in enumerate(answers) if answer.status == 429]
    check(not refused, f"a thousand checks are admitted (in {took:.0f} s)", refused[:3])
    check(took < 55, "the suite is fast enough to fill a minute", took)
    for answer in (answers[0], answers[-1]):
        for name in ("RateLimit", "RateLimit-Policy"):
            check(answer.headers.get(name), f"{name} on a data answer", list(answer.headers))
    policy = answers[0].headers.get("RateLimit-Policy") or ""
    check("q=1000" in policy and "w=60" in policy, "the policy says 1,000 in 60 seconds", policy)
    left = re.search(r"\br=(\d+)", answers[-1].headers.get("RateLimit") or "")
    check.equal(left and left.group(1), "0", "nothing is left after the thousandth")

    over = app.post("check", {"request_id": request_id}, fields="status", connection=connection)
    app.error(over, 429, "rate_limit_exceeded", "the next one")
    wait = over.headers.get("Retry-After") or ""
    check(wait.isdigit() and 1 <= int(wait) <= 60, "Retry-After in seconds", wait)
    for name in ("RateLimit", "RateLimit-Policy"):
        check(over.headers.get(name), f"{name} on the refusal")
    app.error(app.post("check", b"x", token="act.no"), 401, "access_token_invalid", "a bad token is told before the quota")
    app.ok(app.add(), "add is counted apart")
    app.ok(app.post("cancel", {"request_id": app.new()}), "cancel is counted apart", data=False)
    other = App(dev, check, kit.tokens(dev, "empty")["access_token"])
    app.error(other.post("check", {"request_id": 1}, fields="status"), 429, "rate_limit_exceeded", "it is the app's, whoever the person is")
    if wait.isdigit():
        time.sleep(int(wait) + 1)
        app.ok(app.post("check", {"request_id": request_id}, fields="status"), "after Retry-After it goes on")
    staller.join()
    check(stalled[0] != "held", "a body that never comes is given up within 70 seconds", stalled)


def stall(dev, start):
    try:
        return kit.raw(dev.base, start, timeout=70)
    except TimeoutError:
        return "held"


def main():
    check = kit.Checks("wire")
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    hook = f"http://127.0.0.1:{receiver.server_port}/hook"
    with kit.Dev("--webhook-url", hook) as dev:
        app = App(dev, check, kit.tokens(dev)["access_token"])
        other = App(dev, check, kit.tokens(dev, "empty")["access_token"])
        foreign = other.new()
        check.attempt("add", lambda: add(app, check))
        check.attempt("add, bad input", lambda: add_errors(app, check))
        check.attempt("check", lambda: check_call(app, check))
        check.attempt("bad ids", lambda: bad_ids(app, check, foreign))
        check.attempt("cancel", lambda: cancel(app, check))
        check.attempt("download", lambda: download(app, check))
        check.attempt("pending", lambda: pending(dev, check))
        check.attempt("401", lambda: unauthorized(dev, app, check))
        check.attempt("scopes", lambda: scopes(dev, check))
        check.attempt("methods and paths", lambda: methods(app, check))
        check.attempt("parameters", lambda: parameters(app, check))
        check.attempt("webhooks", lambda: webhooks(dev, app, check, receiver))
        check.attempt("races", lambda: races(dev, check))
        check.attempt("the log and the store", lambda: secrecy(dev, app, check))
        check.section("the server's log")
        check("panicked" not in dev.log(), "nothing panicked", [line for line in dev.log().splitlines() if "panicked" in line][:3])
    # An archive that does not fit into the buffers between.
    with kit.Dev("--webhook-url", hook, "--heavy-rows", "600000") as dev:
        check.attempt("withdrawal", lambda: withdrawal(dev, check))
    with kit.Dev() as dev:
        check.attempt("429", lambda: quota(dev, check))
    check.finish()


if __name__ == "__main__":
    main()
