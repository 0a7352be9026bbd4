"""Bad input, table by table: OAuth's endpoints, the pages' forms, unknown addresses.

Each gets its dialect's own error; nobody is ever sent to an address that is not the app's; nothing panics.
"""

import re
import urllib.parse

import portward_dev as kit

LOG_ID = re.compile(r"\d{14}[0-9A-F]{20}")
OAUTH_ERRORS = {
    *("access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "unauthorized_client"),
    *("unsupported_grant_type", "unsupported_response_type", "server_error", "temporarily_unavailable"),
}
MEGABYTE = "x" * 1_000_000
SCRIPT = '"><script>alert(1)</script>'
BAD_URIS = [
    *["https://evil.example/", "javascript:alert(1)", "data:text/html,x", "//evil.example", "/callback", "https:", "x", " ", ""],
    *["https://evil.example/\0", "http://127.0.0.1:1/\r\nLocation: https://evil.example"],
]


class Suite:
    def __init__(self, dev, check):
        self.dev, self.check = dev, check
        self.origin = urllib.parse.urlsplit(dev.base)[:2]
        uri = dev.redirect_uri()
        parts = urllib.parse.urlsplit(uri)
        self.bad_uris = BAD_URIS + [
            *[uri + "x", uri + "/", uri.rstrip("/"), uri + "?a=b", uri + "#f", uri.upper(), uri + "%2e%2e/", uri + "\0", uri + " "],
            *[f"{parts.scheme}://{parts.netloc}@evil.example{parts.path}", f"{parts.scheme}://{parts.netloc}.evil.example{parts.path}"],
            *[f"{parts.scheme}://evil@{parts.netloc}{parts.path}", f"{parts.scheme}://{parts.netloc}{parts.path}/../x", "\\\\evil.example"],
        ]
        # The list of deliberately near misses must not hit.
        self.bad_uris = [bad for bad in self.bad_uris if bad not in dev.redirect_uris]
        self.good = {
            "client_key": dev.client_key,
            "response_type": "code",
            "scope": "user.info.basic,portability.all.single",
            "redirect_uri": uri,
            "state": "st",
        }

    def own_page(self, parameters, what, errors=None, error_type=None):
        """The authorize page must end on a page of ours that names the fault in its address."""
        query = parameters if isinstance(parameters, str) else urllib.parse.urlencode(parameters)
        url = f"{self.dev.base}/v2/auth/authorize/?{query}"
        answer = self.get(url)
        if answer is None:
            return self.check(False, f"{what}: an answer", "the connection was closed")
        if answer.status in (400, 413, 414, 431) and len(query) > 60_000:
            return self.check(True, what)  # refused by the HTTP layer
        for _ in range(4):
            location = answer.headers.get("Location")
            if not location or not 300 <= answer.status < 400:
                break
            url = urllib.parse.urljoin(url, location)
            if not self.check(urllib.parse.urlsplit(url)[:2] == self.origin, f"{what}: never sent elsewhere", url):
                return None
            answer = self.get(url)
        self.check(answer.status < 500, f"{what}: no server error", answer)
        self.check("html" in (answer.headers.get("Content-Type") or ""), f"{what}: a page", answer.headers.get("Content-Type"))
        self.check("<script>alert" not in answer.text, f"{what}: nothing of the input runs", answer)
        seen = kit.query(url)
        self.check(seen.get("error") in (errors or OAUTH_ERRORS), f"{what}: error in the address", url[:300])
        if error_type:
            self.check.equal(seen.get("error_type"), error_type, f"{what}: error_type in the address")
        self.check("password" not in answer.text, f"{what}: nobody is asked to sign in for it", answer)
        return answer

    def get(self, url):
        parts = urllib.parse.urlsplit(url)
        target = urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))
        return kit.raw(self.dev.base, f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode("latin-1"))

    def authorize(self):
        good = self.good

        def bad(what, errors=None, error_type=None, drop=(), **more):
            parameters = {key: value for key, value in {**good, **more}.items() if key not in drop}
            self.own_page(parameters, what, errors, error_type)

        expected = {
            "client_key": {"unauthorized_client", "invalid_client", "invalid_request"},
            "redirect_uri": {"invalid_request"},
            "response_type": {"unsupported_response_type", "invalid_request"},
            "scope": {"invalid_scope", "invalid_request"},
        }
        for name, errors in expected.items():
            bad(f"no {name}", errors, name, drop=[name])
            for value in ("", " ", "nonsense", "\0", SCRIPT, "é漢😀", "%", "x" * 5000):
                bad(f"{name}={value[:12]!r}", errors, name, **{name: value})
            query = urllib.parse.urlencode({**good})
            for value in (good[name], "https://evil.example/"):
                twice = f"{query}&{name}={urllib.parse.quote(value)}"
                self.own_page(twice, f"{name} twice, {value[:10]}", {"invalid_request", *errors}, name)
            cut = urllib.parse.urlencode({key: value for key, value in good.items() if key != name})
            self.own_page(f"{cut}&{name}=%FF%FE", f"{name} in invalid UTF-8", None, name)
            self.own_page(f"{cut}&{name}={MEGABYTE}", f"{name} of a megabyte")
            self.own_page(f"{cut}&{name}[]=x&{name}", f"{name}[]", None, name)
        for uri in self.bad_uris:
            bad(f"redirect_uri {uri[:60]!r}", {"invalid_request"}, "redirect_uri", redirect_uri=uri)
            bad(f"redirect_uri {uri[:60]!r} and another fault", None, None, redirect_uri=uri, scope="nonsense", response_type="token")
        bad("an unknown scope among known ones", {"invalid_scope"}, "scope", scope="user.info.basic,portability.nothing.single")
        bad("a scope in capitals", {"invalid_scope"}, "scope", scope="USER.INFO.BASIC")
        bad("response_type=token", {"unsupported_response_type"}, "response_type", response_type="token")
        bad("both ids, one unknown", None, "client_key", client_id="other")
        challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        for method in ("plain", "s256", "S512"):
            parameters = {"code_challenge": challenge, "code_challenge_method": method}
            self.own_page({**good, **parameters}, f"code_challenge_method {method!r}", {"invalid_request"})
        self.own_page({**good, "code_challenge": "x" * 5000, "code_challenge_method": "S256"}, "a huge challenge", {"invalid_request"})
        self.own_page("", "no parameters at all")
        self.own_page("&&&=&=x&%", "only rubbish")
        for method in ("POST", "PUT", "DELETE"):
            answer = kit.call(self.dev.base, method, "/v2/auth/authorize/")
            self.check(answer.status == 405, f"{method} authorize: 405", answer)

        for state in ("\0", "%FF", "\r\nSet-Cookie: a=b", SCRIPT):
            query = urllib.parse.urlencode({**good, "state": ""}) + (state if state == "%FF" else urllib.parse.quote(state))
            answer = self.get(f"{self.dev.base}/v2/auth/authorize/?{query}")
            self.check(answer is not None and answer.status < 500, f"state {state!r}: no server error", answer)
            if answer is not None:
                self.check("a=b" not in (answer.headers.get("Set-Cookie") or ""), f"state {state!r}: no header of its own")
                self.check("<script>alert" not in answer.text, f"state {state!r}: nothing runs")

    def flat(self, answer, what, errors, status=(400, 401)):
        if not self.check(answer is not None, f"{what}: an answer"):
            return
        body = answer.json
        self.check(answer.status in status, f"{what}: HTTP {status}", answer)
        if self.check(isinstance(body, dict) and isinstance(body.get("error"), str), f"{what}: the flat dialect", answer):
            self.check(body["error"] in errors, f"{what}: {sorted(errors)}", body)
            self.check(bool(body.get("error_description")), f"{what}: a description", body)
            self.check(LOG_ID.fullmatch(body.get("log_id") or ""), f"{what}: log_id", body)
            self.check("data" not in body and "message" not in body, f"{what}: not the other dialect", body)

    def table(self, path, good, expected):
        """Every parameter absent, empty, wrong, repeated, huge, with NUL and in invalid UTF-8."""

        def post(fields, headers=None):
            return kit.form_post(self.dev, path, fields, headers)

        for name, errors in expected.items():
            rest = {key: value for key, value in good.items() if key != name}
            self.flat(post(rest), f"{path} no {name}", errors)
            for value in ("", " ", "nonsense", "\0", good[name] + "\0", good[name] + " ", SCRIPT, "😀", "x" * 5000):
                self.flat(post({**rest, name: value}), f"{path} {name}={value[:12]!r}", errors | {"invalid_request"})
            body = urllib.parse.urlencode(rest)
            self.flat(post(f"{body}&{name}=%FF%FE"), f"{path} {name} in invalid UTF-8", errors | {"invalid_request"})
            self.flat(post(body.encode() + f"&{name}=".encode() + b"\xff\xfe"), f"{path} {name} in raw bytes", errors | {"invalid_request"})
            twice = f"{body}&{name}={urllib.parse.quote(good[name])}&{name}=other"
            self.flat(post(twice), f"{path} {name} twice", errors | {"invalid_request"})
            answer = post({**rest, name: MEGABYTE})
            self.flat(answer, f"{path} {name} of a megabyte", errors | {"invalid_request"}, (400, 401, 413))
        for what, body in (("empty", ""), ("rubbish", "&&=&%%%"), ("NULs", b"\0" * 64), ("bytes", bytes(range(256)))):
            self.flat(post(body), f"{path} with {what}", OAUTH_ERRORS)
        import json

        answer = post(json.dumps(good), {"Content-Type": "application/json"})
        self.flat(answer, f"{path} as JSON", {"invalid_request"}, (400, 415))
        for kind in ("text/plain", "multipart/form-data; boundary=x", "", "\xff"):
            answer = post(good, {"Content-Type": kind})
            self.flat(answer, f"{path} as {kind!r}", {"invalid_request"}, (400, 415))
        for method in ("GET", "PUT", "DELETE"):
            answer = kit.call(self.dev.base, method, path, {}, b"" if method != "GET" else None)
            self.flat(answer, f"{method} {path}", {"invalid_request"}, (405,))
        self.flat(post("x=" + "y" * 8_000_000), f"{path} of eight megabytes", {"invalid_request"}, (413,))

    def token(self):
        credentials = kit.credentials(self.dev)
        client = {"invalid_client", "invalid_request"}
        callback = kit.Browser(self.dev, self.dev.person("typical")).visit(kit.authorize_url(self.dev, "user.info.basic"))
        # The good code is presented again and again, each time with another fault: whatever happens to it, no token is given.
        code = {
            **credentials,
            "grant_type": "authorization_code",
            "code": kit.query(callback)["code"],
            "redirect_uri": self.dev.redirect_uri(),
        }
        self.table(
            "/v2/oauth/token/",
            code,
            {
                "grant_type": {"unsupported_grant_type", "invalid_request"},
                "client_key": client,
                "client_secret": client,
                "redirect_uri": {"invalid_request", "invalid_grant"},
                "code": {"invalid_grant", "invalid_request"},
            },
        )

    def refresh(self):
        credentials = kit.credentials(self.dev)
        refresh = {**credentials, "grant_type": "refresh_token", "refresh_token": kit.tokens(self.dev)["refresh_token"]}
        self.table("/v2/oauth/token/", refresh, {"refresh_token": {"invalid_grant", "invalid_request"}})
        for grant_type in ("password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "AUTHORIZATION_CODE"):
            answer = kit.form_post(self.dev, "/v2/oauth/token/", {**credentials, "grant_type": grant_type})
            self.flat(answer, f"grant_type {grant_type}", {"unsupported_grant_type"}, (400,))
        own = {**credentials, "grant_type": "client_credentials"}
        answer = kit.form_post(self.dev, f"/v2/oauth/token/?{urllib.parse.urlencode(own)}", "")
        self.flat(answer, "credentials in the query", OAUTH_ERRORS)

    def revoke(self):
        client = {"invalid_client", "invalid_request"}
        good = {**kit.credentials(self.dev), "token": kit.tokens(self.dev)["access_token"]}
        expected = {"client_key": client, "client_secret": client}
        self.table("/v2/oauth/revoke/", good, expected)
        rest = kit.credentials(self.dev)
        self.flat(kit.form_post(self.dev, "/v2/oauth/revoke/", rest), "revoke without a token", {"invalid_request"})
        for value in ("nonsense", "act.", "x" * 5000, "\0", "😀"):
            answer = kit.form_post(self.dev, "/v2/oauth/revoke/", {**rest, "token": value})
            self.check(answer.status in (200, 400), f"revoke of {value[:8]!r}", answer)
        headers = {"Authorization": f"Bearer {good['token']}"}
        answer = kit.call(self.dev.base, "GET", "/v2/user/info/?fields=open_id", headers)
        self.check.equal(answer.status, 200, "none of the refused calls revoked anything")

    def nested(self, answer, what, code, status):
        body = answer.json if answer else None
        if self.check(isinstance(body, dict) and isinstance(body.get("error"), dict), f"{what}: the nested struct", answer):
            self.check.equal((answer.status, body["error"].get("code")), (status, code), what)
            self.check(bool(body["error"].get("message")), f"{what}: a message", body)
            self.check(LOG_ID.fullmatch(body["error"].get("log_id") or ""), f"{what}: log_id", body)

    def user_info(self):
        token = kit.tokens(self.dev, scope="user.info.basic")["access_token"]
        headers = {"Authorization": f"Bearer {token}"}

        def get(query, headers=headers):
            return kit.call(self.dev.base, "GET", f"/v2/user/info/{query}", headers)

        self.nested(get(""), "no fields", "invalid_params", 400)
        self.nested(get("?fields="), "empty fields", "invalid_params", 400)
        for query in ("?fields=nonsense", "?fields=%00", "?fields=%FF", "?fields=,,,", "?fields=open_id&fields=open_id"):
            answer = get(query)
            self.check(answer.status in (200, 400, 401) and isinstance(answer.json, dict), query, answer)
        answer = get("?fields=open_id&x=" + "y" * 20_000)
        self.check.equal(answer.status, 200, "a long unknown parameter")
        for method in ("POST", "PUT", "DELETE"):
            answer = kit.call(self.dev.base, method, "/v2/user/info/?fields=open_id", headers, b"")
            self.nested(answer, f"{method} user info", "invalid_params", 405)

    def unknown(self):
        for path in ("/v2/user/", "/v2/user/data/", "/v2/user/nothing/", "/v2/research/", "/v2/"):
            for method in ("GET", "POST"):
                answer = kit.call(self.dev.base, method, path)
                self.nested(answer, f"{method} {path}", "invalid_params", 404)
        for path in ("/v2/oauth/nothing/", "/v2/oauth/"):
            answer = kit.call(self.dev.base, "POST", path)
            self.flat(answer, path, {"invalid_request"}, (404,))
        for path in ("/nothing", "/../etc/passwd", "/%2e%2e/etc/passwd", "/assets/../Cargo.toml", "/assets/%2e%2e%2fCargo.toml", "/%FF", "//"):
            answer = kit.raw(self.dev.base, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            self.check(answer is None or answer.status in (400, 404), f"{path} is not found", answer)
        for request in (b"\0\0\0\0\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET " + b"/" * 200_000):
            answer = kit.raw(self.dev.base, request + b"\r\n\r\n", 10)
            self.check(answer is None or 400 <= answer.status < 600, f"{request[:12]!r}", answer)

    def pages(self):
        """The forms, posted without a session, without their tokens, with rubbish."""
        browser = kit.Browser(self.dev, self.dev.person("typical"))
        origin = {"Origin": self.dev.base, "Content-Type": "application/x-www-form-urlencoded"}
        for path in ("/login", "/connections"):
            for body in ("", "username=", "username=%FF&password=%00", "username=a&username=b&password=c", "decision=allow", b"\0" * 50):
                answer = kit.call(self.dev.base, "POST", path, origin, body)
                self.check(answer.status < 500, f"POST {path} {body!r}: no server error", answer)
            answer = kit.call(self.dev.base, "POST", path, origin, "username=" + MEGABYTE + "&password=" + MEGABYTE * 8)
            self.check(400 <= answer.status < 500, f"POST {path} of megabytes", answer)
        for next_url in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"):
            for name in ("next", "return_to", "return", "continue", "redirect", "to"):
                page = browser.request("GET", f"{self.dev.base}/login?{urllib.parse.urlencode({name: next_url})}")
                form = browser.fill(page, "all", "allow") if page.status == 200 else None
                if form is None:
                    self.check(page.status < 500, f"/login?{name}={next_url}", page)
                    continue
                answer = browser.request("POST", urllib.parse.urljoin(page.url, form[0]), form[1])
                location = urllib.parse.urljoin(page.url, answer.headers.get("Location") or "")
                same = urllib.parse.urlsplit(location)[:2] == self.origin
                self.check(same and answer.status < 500, f"/login?{name}={next_url} leads nowhere else", (answer.status, location))
                browser.cookies.clear()

        # The consent form, changed by hand.
        url = kit.authorize_url(self.dev, "user.info.basic,portability.activity.single")
        browser = kit.Browser(self.dev, self.dev.person("typical"))
        page = browser.request("GET", url)
        for _ in range(4):
            while 300 <= page.status < 400:
                page = browser.request("GET", urllib.parse.urljoin(page.url, page.headers["Location"]))
            action, fields = browser.fill(page, "all", "allow")
            if any(name == "decision" for name, _ in fields):
                break
            page = browser.request("POST", urllib.parse.urljoin(page.url, action), fields)
        target = urllib.parse.urljoin(page.url, action)
        hidden = [(name, value) for name, value in fields if name not in ("scope", "decision")]

        def decide(what, fields, accept):
            answer = browser.request("POST", target, fields)
            location = answer.headers.get("Location") or ""
            self.check(answer.status < 500, f"{what}: no server error", answer)
            granted = kit.query(location).get("scopes", "") if "code=" in location else ""
            self.check(accept(answer, location, granted), what, (answer.status, location))

        def not_granted(answer, location, granted):
            return "portability.all.single" not in granted and "evil" not in location

        more = [("scope", "portability.all.single"), ("scope", "portability.activity.single"), ("decision", "allow")]
        decide("a scope that was not asked for", hidden + more, not_granted)
        for name, value in hidden:
            for other in ("", "x", SCRIPT, "\0", "https://evil.example/"):
                changed = [(key, other if key == name else kept) for key, kept in hidden]
                decide(f"hidden {name} = {other[:10]!r}", changed + [("decision", "allow")], lambda a, location, g: "evil" not in location)
        for decision in ("", "maybe", "ALLOW", "\0"):
            decide(f"decision {decision!r}", hidden + [("decision", decision)], lambda a, location, g: "code=" not in location)
        decide("no decision", hidden, lambda a, location, g: "code=" not in location)
        stranger = kit.Browser(self.dev, self.dev.person("typical"))
        answer = stranger.request("POST", target, hidden + [("decision", "allow")])
        self.check("code=" not in (answer.headers.get("Location") or ""), "without a session nothing is granted", answer)


def main():
    check = kit.Checks("bad-input")
    # Every table posts more wrong secrets than an app may in a minute: a server for each.
    for name in ("authorize", "token", "refresh", "revoke", "user_info", "unknown", "pages"):
        with kit.Dev() as dev:
            suite = Suite(dev, check)
            check.attempt(name.replace("_", " "), getattr(suite, name))
            check("panicked" not in dev.log(), f"{name}: nothing panicked", dev.log()[-500:])
            health = kit.call(dev.ops_url, "GET", "/healthz")
            check.equal(health.status, 200, f"{name}: the server goes on")
    check.finish()


if __name__ == "__main__":
    main()
