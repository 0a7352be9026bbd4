"""OAuth as the clients that exist send it, and what they rely on in the answers. Standard library only."""

import base64
import hashlib
import html
import re
import urllib.parse

import portward_dev as kit

LOG_ID = re.compile(r"\d{14}[0-9A-F]{20}")
DESKTOP = "http://127.0.0.1:*/callback/"
WEB = "https://other.example/callback"
NOT_MATCHED = "Redirect_uri is not matched with the uri when requesting code."
PKCE_INVALID = "Code verifier or code challenge is invalid."


def challenge(verifier, form="base64url"):
    digest = hashlib.sha256(verifier.encode()).digest()
    return digest.hex() if form == "hex" else base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Suite:
    def __init__(self, dev, check):
        self.dev, self.check = dev, check
        self.typical = dev.person("typical")

    # ---- steps

    def sign_in(self, scopes="all", decision="allow", person=None, browser=None, url=None, **parameters):
        """To the callback's parameters in their order, or to the page where the journey ended."""
        browser = browser or kit.Browser(self.dev, person or self.typical)
        if url is None:
            parameters.setdefault("scope", "user.info.basic,portability.activity.ongoing")
            url = kit.authorize_url(self.dev, **parameters)
        callback = browser.visit(url, scopes, decision)
        if not isinstance(callback, str):
            return callback
        self.address = callback.partition("?")[0]
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(callback).query, keep_blank_values=True))

    def token(self, headers=None, **fields):
        fields = {**kit.credentials(self.dev), **fields}
        fields = {name: value for name, value in fields.items() if value is not None}
        return kit.form_post(self.dev, "/v2/oauth/token/", fields, headers)

    def exchange(self, callback, **more):
        if not isinstance(callback, dict) or "code" not in callback:
            raise AssertionError(f"no code in {callback!r}")
        return self.token(
            grant_type="authorization_code", code=callback["code"], **{"redirect_uri": self.dev.redirect_uri(), **more}
        )

    def refresh(self, token):
        return self.token(grant_type="refresh_token", refresh_token=token)

    def revoke(self, token, **more):
        return kit.form_post(self.dev, "/v2/oauth/revoke/", {**kit.credentials(self.dev), "token": token, **more})

    def info(self, token, fields="open_id"):
        target = "/v2/user/info/" + (f"?fields={fields}" if fields is not None else "")
        return kit.call(self.dev.base, "GET", target, {"Authorization": f"Bearer {token}"})

    def alive(self, token):
        answer = self.info(token)
        return answer.status == 200

    def error(self, answer, status, code, what, description=None):
        """The flat dialect."""
        body = answer.json
        wanted = status if isinstance(status, tuple) else (status,)
        if not self.check(answer.status in wanted, f"{what}: HTTP {status}", answer):
            return
        if not self.check(isinstance(body, dict) and isinstance(body.get("error"), str), f"{what}: the flat dialect", answer):
            return
        codes = code if isinstance(code, tuple) else (code,)
        self.check(body["error"] in codes, f"{what}: {code}", body)
        self.check(bool(body.get("error_description")), f"{what}: a description", body)
        if description:
            self.check.equal(body.get("error_description"), description, f"{what}: the known description")
        self.check(LOG_ID.fullmatch(body.get("log_id") or ""), f"{what}: log_id", body)
        self.check.equal(answer.headers.get("x-tt-logid"), body.get("log_id"), f"{what}: x-tt-logid")
        self.check("no-store" in (answer.headers.get("Cache-Control") or ""), f"{what}: not stored")

    # ---- groups

    def authorize(self):
        check, dev = self.check, self.dev
        scope = "user.info.basic,portability.activity.ongoing"
        callback = self.sign_in()
        check.equal(list(callback), ["code", "scopes", "state"], "code, scopes and state in that order")
        check.equal(callback.get("scopes"), scope, "what was granted")
        check.equal(self.address, dev.redirect_uri(), "at the redirect URI")

        def works(what, wanted=scope, **parameters):
            callback = self.sign_in(**parameters)
            if check(isinstance(callback, dict) and "code" in callback, what, callback):
                check.equal(callback.get("scopes"), wanted, f"{what}: scopes")
            return callback

        base = kit.authorize_url(dev, scope=scope)
        works("without the trailing slash", url=base.replace("/authorize/?", "/authorize?"))
        works("client_id instead of client_key", client_key=None, client_id=dev.client_key)
        works("client_id beside client_key", client_id=dev.client_key)
        works("a code_verifier at authorize is ignored", code_verifier="x" * 43)
        works("unknown parameters are ignored", access_type="offline", prompt="consent", nonce="n", lang="de")
        for separator in (" ", ", ", ",", " , "):
            works(f"scopes by {separator!r}", scope=scope.replace(",", separator))
        works("scopes by +", url=base.replace("%2C", "+"))
        works("scopes by an encoded plus", url=base.replace("%2C", "%2B"))
        twice = "portability.activity.ongoing,user.info.basic"
        works("a scope twice, in the order asked for", wanted=twice, scope=f"{twice},portability.activity.ongoing")
        works("basic comes with any sign-in", scope="portability.activity.ongoing")
        works("all scopes", wanted=kit.ALL_SCOPES, scope=kit.ALL_SCOPES)
        check("state" not in self.sign_in(state=None), "no state, none back")
        for state in ("x" * 400, "", 'a b&c=d%20+"<é漢😀>\'/?#'):
            callback = self.sign_in(state=state)
            check.equal(callback.get("state", ""), state, f"state {state[:20]!r} comes back exactly")
        for port in (1, 53412, 65535):
            uri = DESKTOP.replace("*", str(port))
            callback = works(f"the desktop wildcard with port {port}", redirect_uri=uri)
            check.equal(self.address, uri, "and the port that was asked for")
            answer = self.exchange(callback, redirect_uri=uri)
            check.equal(answer.status, 200, "is exchanged with the same address")
        answer = self.exchange(self.sign_in(redirect_uri=DESKTOP.replace("*", "4000")), redirect_uri=DESKTOP.replace("*", "4001"))
        self.error(answer, 400, ("invalid_request", "invalid_grant"), "another port at the exchange", NOT_MATCHED)

    def consent(self):
        check, dev = self.check, self.dev
        asked = "user.info.basic,user.info.profile,portability.all.single,portability.activity.ongoing"
        callback = self.sign_in(scope=asked, scopes=["portability.all.single"])
        check.equal(callback.get("scopes"), "user.info.basic,portability.all.single", "a part is granted")
        check.equal(self.exchange(callback).json.get("scope"), "user.info.basic,portability.all.single", "and is the token's")
        callback = self.sign_in(scope=asked, scopes=[])
        check.equal(callback.get("scopes"), "user.info.basic", "nothing but the basics")
        callback = self.sign_in(decision="deny", state="s&s")
        check.equal(
            callback,
            {"error": "access_denied", "error_description": "user cancelled the authorization", "state": "s&s"},
            "a denial in exactly these words",
        )

        alive = self.exchange(self.sign_in()).json["access_token"]
        second = self.exchange(self.sign_in(scope="user.info.basic,portability.all.single")).json["access_token"]
        self.sign_in(decision="deny")
        check(self.alive(alive), "a new consent and a denial leave the earlier grant alone")
        self.revoke(second)
        check(self.alive(alive) and not self.alive(second), "revoking ends that grant only")

        # A browser with a session goes straight to the page, and skips it only where rule 11 lets it.
        # The person of this part has no grants from elsewhere.
        browser = kit.Browser(dev, dev.person("heavy"))
        self.sign_in(browser=browser, scope="user.info.basic")

        def pages(**parameters):
            browser.seen.clear()
            callback = self.sign_in(browser=browser, **parameters)
            check("code" in callback, "an answer either way", callback)
            return [url for method, url, _ in browser.seen if method == "POST"]

        check.equal(pages(scope="user.info.basic", disable_auto_auth="0"), [], "disable_auto_auth=0 skips the page for the same scopes")
        check(pages(scope="user.info.basic", disable_auto_auth="1"), "1 shows it")
        check(pages(scope="user.info.basic"), "absent means 1")
        check(pages(scope="user.info.basic,user.info.stats", disable_auto_auth="0"), "a scope not yet granted shows it")
        portability = "user.info.basic,portability.activity.ongoing"
        self.sign_in(browser=browser, scope=portability)
        check(pages(scope=portability, disable_auto_auth="0"), "a portability scope always shows it")

        outside = [person for person in dev.people if person["region"] not in EEA_UK]
        if check(outside, "there is a person outside the regions", dev.people):
            callback = self.sign_in(person=outside[-1])
            if not isinstance(callback, dict):
                # A page may explain it first; its way back carries the same answer.
                links = [html.unescape(link) for link in re.findall(r'href="([^"]*)"', callback.text)]
                back = [link for link in links if link.startswith(dev.redirect_uri())]
                check(back, "a page with a way back to the app", callback)
                callback = kit.query(back[0]) if back else {}
            check.equal(callback.get("error"), "access_denied", "who gets access_denied")
            text = callback.get("error_description", "")
            check(text and text != "user cancelled the authorization", "with a description of its own", text)
            check.equal(callback.get("state"), "st", "and the state")

    def headers(self):
        check, dev = self.check, self.dev
        browser = kit.Browser(dev, self.typical)
        url = kit.authorize_url(dev, scope="portability.all.single")
        login = browser.request("GET", url)
        while 300 <= login.status < 400:
            login = browser.request("GET", urllib.parse.urljoin(login.url, login.headers["Location"]))
        action, fields = browser.fill(login, "all", "allow")
        consent = browser.request("POST", urllib.parse.urljoin(login.url, action), fields)
        while 300 <= consent.status < 400:
            consent = browser.request("GET", urllib.parse.urljoin(consent.url, consent.headers["Location"]))
        check(browser.fill(consent, "all", "allow"), "sign-in leads straight to consent", consent)
        connections = browser.request("GET", f"{dev.base}/connections")
        for what, page in (("sign-in", login), ("consent", consent), ("connections", connections)):
            check.equal(page.status, 200, f"{what}: 200")
            policy = page.headers.get("Content-Security-Policy") or ""
            check("frame-ancestors 'none'" in policy, f"{what}: frame-ancestors 'none'", policy)
            check.equal(page.headers.get("Referrer-Policy"), "no-referrer", f"{what}: Referrer-Policy")
            check("no-store" in (page.headers.get("Cache-Control") or ""), f"{what}: no-store", page.headers.get("Cache-Control"))
            check("'unsafe-inline'" not in policy and "unsafe-eval" not in policy, f"{what}: nothing unsafe in the policy", policy)
        parts = urllib.parse.urlsplit(dev.redirect_uri())
        form_action = re.search(r"form-action([^;]*)", consent.headers.get("Content-Security-Policy") or "")
        check(
            form_action and f"{parts.scheme}://{parts.netloc}" in form_action.group(1).split(),
            "consent: form-action lists the redirect's origin",
            consent.headers.get("Content-Security-Policy"),
        )
        check(dev.client_secret not in consent.text, "the secret is on no page")

        # The forms of another site's page do nothing.
        action, fields = browser.fill(consent, "all", "allow")
        target = urllib.parse.urljoin(consent.url, action)
        forged = browser.request("POST", target, fields, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})
        # Browser.request sets its own Origin for forms; the forged one is sent as a second try by hand.
        parts = urllib.parse.urlsplit(target)
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        forged = kit.call(
            dev.base,
            "POST",
            parts.path + (f"?{parts.query}" if parts.query else ""),
            {
                "Content-Type": "application/x-www-form-urlencoded",
                "Origin": "https://evil.example",
                "Sec-Fetch-Site": "cross-site",
                "Cookie": cookie,
            },
            urllib.parse.urlencode(fields),
        )
        check(400 <= forged.status < 500, "a consent posted from another site is refused", forged)
        for header in login.headers.get_all("Set-Cookie", []) + consent.headers.get_all("Set-Cookie", []):
            check("httponly" in header.lower() and "samesite" in header.lower(), "cookies are HttpOnly and SameSite", header)

    def pkce(self):
        check = self.check
        for form in ("base64url", "hex", "HEX"):
            for verifier in ("sixsix", "a" * 43, "A-._~" + "z" * 100, "b" * 128):
                value = challenge(verifier, "base64url" if form == "base64url" else "hex")
                value = value.upper() if form == "HEX" else value
                callback = self.sign_in(code_challenge=value, code_challenge_method="S256")
                answer = self.exchange(callback, code_verifier=verifier)
                check.equal(answer.status, 200, f"{form}, a verifier of {len(verifier)}")
        parameters = {"code_challenge": challenge("right" * 10), "code_challenge_method": "S256"}
        for what, verifier in (("a wrong verifier", "wrong" * 10), ("no verifier", None), ("an empty verifier", "")):
            callback = self.sign_in(**parameters)
            self.error(self.exchange(callback, code_verifier=verifier), 400, ("invalid_request", "invalid_grant"), what, PKCE_INVALID)
        # A challenge that no verifier can have made may be refused at once or at the exchange, but never passes.
        for value in ("short", "x" * 44, "ü" * 43, "+" * 43, "g" * 64):
            callback = self.sign_in(code_challenge=value, code_challenge_method="S256")
            if isinstance(callback, dict):
                for verifier in (value, "x" * 43, None):
                    answer = self.exchange(callback, code_verifier=verifier)
                    check(answer.status == 400, f"challenge {value[:8]!r}, verifier {str(verifier)[:8]!r}", answer)
        answer = self.exchange(self.sign_in(), code_verifier="x" * 43)
        check.equal(answer.status, 200, "a verifier without a challenge is accepted of a confidential client")

    def tokens(self):
        check, dev = self.check, self.dev
        headers = {"Accept": "application/x-www-form-urlencoded"}
        callback = self.sign_in(scope=kit.ALL_SCOPES)
        answer = self.token(
            headers, grant_type="authorization_code", code=callback["code"], redirect_uri=dev.redirect_uri()
        )
        check("json" in answer.headers.get("Content-Type", ""), "JSON, whatever Accept says", answer.headers.get("Content-Type"))
        body = answer.json
        wanted = ["access_token", "expires_in", "open_id", "refresh_expires_in", "refresh_token", "scope", "token_type"]
        check.equal(sorted(body), wanted, "the seven keys, flat")
        for key in ("access_token", "open_id", "refresh_token"):
            check(isinstance(body[key], str) and len(body[key]) < 250, f"{key} fits a column of 250", body[key])
        check(body["access_token"].startswith("act.") and body["refresh_token"].startswith("rft."), "prefixes")
        check.equal((body["expires_in"], body["refresh_expires_in"]), (7200, 15552000), "two hours and 180 days")
        check.equal((body["token_type"], body["scope"]), ("Bearer", kit.ALL_SCOPES), "Bearer, and the scope is never shortened")
        check.equal(len(body["scope"]), 293, "all 293 characters of it")
        check("no-store" in (answer.headers.get("Cache-Control") or ""), "not stored")
        check(answer.headers.get("x-tt-logid"), "x-tt-logid")

        client_id = {"client_key": None, "client_id": dev.client_key}
        check.equal(self.exchange(self.sign_in(), **client_id).status, 200, "client_id as alias in the body")
        check.equal(self.exchange(self.sign_in(), client_id=dev.client_key).status, 200, "client_id beside client_key")
        for path in ("/v2/oauth/token", "/v2/oauth/token/"):
            answer = kit.form_post(dev, path, {**kit.credentials(dev), "grant_type": "client_credentials"})
            check(answer.status == 200 and answer.json["access_token"].startswith("clt."), f"client credentials at {path}", answer)
            check.equal(sorted(answer.json), ["access_token", "expires_in", "token_type"], "three keys")

        one, two = self.exchange(self.sign_in()).json, self.exchange(self.sign_in()).json
        check.equal(one["open_id"], two["open_id"], "open_id is the same person's in every grant")
        other = kit.tokens(dev, "empty", "user.info.basic")
        check(other["open_id"] != one["open_id"], "and another's is another")

        callback = self.sign_in()
        first = self.exchange(callback).json
        self.error(self.exchange(callback), 400, "invalid_grant", "a used code")
        check(not self.alive(first["access_token"]), "revokes the access token it gave")
        self.error(self.refresh(first["refresh_token"]), 400, "invalid_grant", "and the refresh token")
        check(self.alive(one["access_token"]), "and nothing else")

        refreshed = self.refresh(one["refresh_token"]).json
        check.equal(sorted(refreshed), wanted, "refreshing answers the same seven keys")
        check(refreshed["refresh_token"] != one["refresh_token"], "rotates")
        check.equal(refreshed["scope"], one["scope"], "with the scope that is valid now")
        check(self.alive(refreshed["access_token"]), "the new token lives")
        self.error(self.refresh(one["refresh_token"]), 400, "invalid_grant", "a used refresh token")
        self.error(self.refresh(refreshed["refresh_token"]), 400, "invalid_grant", "takes its family with it")
        check(not self.alive(refreshed["access_token"]), "access token included")
        check(self.alive(two["access_token"]), "but no other family")

        spent = self.exchange(self.sign_in(scope="user.info.basic,portability.activity.single")).json
        body = '{"data_format":"json","category_selection_list":["activity"]}'
        kit.call(
            dev.base,
            "POST",
            "/v2/user/data/add/?fields=request_id",
            {"Authorization": f"Bearer {spent['access_token']}", "Content-Type": "application/json"},
            body,
        )
        check.equal(self.refresh(spent["refresh_token"]).json.get("scope"), "user.info.basic", "a spent single is gone after refresh")

        self.error(self.refresh(two["access_token"]), 400, "invalid_grant", "an access token is no refresh token")
        other = next(uri for uri in dev.redirect_uris if "*" not in uri and uri != dev.redirect_uri())
        answer = self.exchange(self.sign_in(), redirect_uri=other)
        self.error(answer, 400, ("invalid_request", "invalid_grant"), "another redirect URI", NOT_MATCHED)

    def revocation(self):
        check = self.check
        for hint in ({}, {"token_type_hint": "access_token"}, {"token_type_hint": "nonsense"}):
            pair = self.exchange(self.sign_in()).json
            answer = self.revoke(pair["access_token"], **hint)
            check.equal((answer.status, answer.json), (200, {}), f"revoke {hint}: 200 and an empty struct")
            info = self.info(pair["access_token"])
            check.equal((info.status, info.json["error"]["code"]), (401, "access_token_invalid"), "user info is 401")
            self.error(self.refresh(pair["refresh_token"]), 400, "invalid_grant", "its refresh token")
        pair = self.exchange(self.sign_in()).json
        check.equal(self.revoke(pair["refresh_token"], token_type_hint="refresh_token").status, 200, "revoke by refresh token")
        check(not self.alive(pair["access_token"]), "ends the grant, too")
        check.equal(self.revoke("act.unknown").status, 200, "an unknown token is not told apart")

    def user_info(self):
        check = self.check
        everything = self.exchange(
            self.sign_in(scope="user.info.basic,user.info.profile,user.info.stats")
        ).json["access_token"]
        basic = self.exchange(self.sign_in(scope="user.info.basic")).json["access_token"]

        def user(token, fields):
            answer = self.info(token, fields)
            if not check(answer.status == 200 and answer.json["error"]["code"] == "ok", f"user info {fields}", answer):
                return {}
            return answer.json["data"]["user"]

        groups = {
            "basic": "open_id union_id avatar_url avatar_url_100 avatar_large_url display_name".split(),
            "profile": "bio_description profile_deep_link is_verified username profile_web_link".split(),
            "stats": "follower_count following_count likes_count video_count".split(),
        }
        for name, fields in groups.items():
            seen = user(everything, ",".join(fields))
            check.equal(sorted(seen), sorted(fields), f"the fields of {name}")
        check(type(user(everything, "video_count").get("video_count")) is int, "counts are numbers")
        check.equal(list(user(basic, "open_id")), ["open_id"], "only what was asked for")
        check.equal(sorted(user(basic, "open_id,avatar_url_200,nonsense")), ["open_id"], "unknown fields are ignored")
        check.equal(sorted(user(basic, "open_id%2Cusername")), ["open_id"], "fields without their scope are left out")
        answer = self.info(basic, "username,video_count")
        check.equal((answer.status, answer.json["error"]["code"]), (401, "scope_not_authorized"), "none allowed")
        target = "/v2/user/info?fields=open_id"
        answer = kit.call(self.dev.base, "GET", target, {"Authorization": f"Bearer {basic}"})
        check.equal(answer.status, 200, "without the trailing slash")
        for what, value in (("no token", None), ("an unknown token", "Bearer act.x"), ("Basic", "Basic eDp5")):
            answer = kit.call(self.dev.base, "GET", target, {"Authorization": value} if value else {})
            code = answer.json and answer.json["error"]["code"]
            check.equal((answer.status, code), (401, "access_token_invalid"), what)
        client = self.token(grant_type="client_credentials").json["access_token"]
        check.equal(self.info(client).status, 401, "a client token")


EEA_UK = set("AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IS IT LI LV LT LU MT NL NO PL PT RO SK SI ES SE GB UK".split())


def limits(dev, check):
    """Failures are limited, not successes; on a server of its own."""
    suite = Suite(dev, check)
    person, other = dev.person("typical"), dev.person("empty")

    def login(person, password):
        browser = kit.Browser(dev, {**person, "password": password})
        url = kit.authorize_url(dev, scope="user.info.basic")
        page = browser.request("GET", url)
        while 300 <= page.status < 400:
            page = browser.request("GET", urllib.parse.urljoin(page.url, page.headers["Location"]))
        action, fields = browser.fill(page, "all", "allow")
        answer = browser.request("POST", urllib.parse.urljoin(page.url, action), fields)
        while 300 <= answer.status < 400:
            answer = browser.request("GET", urllib.parse.urljoin(answer.url, answer.headers["Location"]))
        form = browser.fill(answer, "all", "allow")
        return form is not None and any(name == "decision" for name, _ in form[1]), answer

    for _ in range(12):
        signed_in, page = login(person, person["password"])
        check(signed_in, "success is not limited", page)
    first = login(person, "wrong")[1]
    check(first.status < 500 and person["username"] in first.text, "a wrong password shows the form again", first)
    stranger = login({"username": "nobody-of-that-name"}, "wrong")[1]
    check.equal(stranger.status, first.status, "an unknown name is not told apart")
    for _ in range(9):
        login(person, "wrong")
    signed_in, page = login(person, person["password"])
    check(not signed_in, "after ten failures the right password does not help", page)
    check.equal(page.status, 429, "and the page says so with 429")
    check(login(other, other["password"])[0], "others still sign in")

    def failing():
        return suite.token(client_secret="wrong", grant_type="client_credentials")

    answers = [failing() for _ in range(101)]
    check.equal({answer.status for answer in answers[:100]}, {401}, "a hundred failures of an app are answered as such")
    check(answers[100].status == 429 and isinstance(answers[100].json.get("error"), str), "the next is refused", answers[100])


def main():
    check = kit.Checks("oauth")
    with kit.Dev("--redirect-uri", DESKTOP, "--redirect-uri", WEB) as dev:
        suite = Suite(dev, check)
        for name in ("authorize", "consent", "headers", "pkce", "tokens", "revocation", "user_info"):
            check.attempt(name.replace("_", " "), getattr(suite, name))
        check("panicked" not in dev.log(), "nothing panicked")
    with kit.Dev() as dev:
        check.attempt("limits", lambda: limits(dev, check))
    check.finish()


if __name__ == "__main__":
    main()
