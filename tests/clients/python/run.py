"""Authlib and django-allauth's TikTok provider, as an integrator would use them, against a server over TLS.

allauth has its hosts built in: they are mapped to the server, as lines in /etc/hosts would.
"""

import os
import shutil

import portward_dev as kit

HOSTS = ["www.tiktok.com", "open.tiktokapis.com", "localhost"]
AUTHLIB_CALLBACK = "https://app.example/authlib/callback"
ALLAUTH_CALLBACK = "https://app.example/accounts/tiktok/login/callback/"
API = "https://open.tiktokapis.com"


def authlib(dev, check, ca):
    from authlib.integrations.base_client.errors import OAuthError
    from authlib.integrations.requests_client import OAuth2Session
    from authlib.common.security import generate_token

    def session(**more):
        return OAuth2Session(
            dev.client_key,
            dev.client_secret,
            redirect_uri=AUTHLIB_CALLBACK,
            token_endpoint_auth_method="client_secret_post",
            revocation_endpoint_auth_method="client_secret_post",
            code_challenge_method="S256",
            **more,
        )

    def sign_in(scope):
        app = session(scope=scope)
        verifier = generate_token(48)
        url, state = app.create_authorization_url(f"{dev.base}/v2/auth/authorize/", code_verifier=verifier)
        callback = kit.Browser(dev, dev.person("typical"), ca).visit(url)
        check(isinstance(callback, str), "sent back to the app", callback)
        app.fetch_token(f"{dev.base}/v2/oauth/token/", authorization_response=callback, code_verifier=verifier, state=state)
        return app

    app = sign_in("user.info.basic portability.postsandprofile.single")
    check(app.token["access_token"].startswith("act."), "an access token")
    check.equal(app.token["scope"], "user.info.basic,portability.postsandprofile.single", "scope is one comma string")
    info = app.get(f"{dev.base}/v2/user/info/", params={"fields": "open_id,display_name"})
    check.equal(info.status_code, 200, "user info")
    check.equal(info.json()["data"]["user"].get("open_id"), app.token["open_id"], "of the same person")
    check.equal(info.json()["error"]["code"], "ok", "with an envelope that says ok")

    first = app.token["refresh_token"]
    app.refresh_token(f"{dev.base}/v2/oauth/token/", refresh_token=first)
    check(app.token["refresh_token"] != first, "refresh rotates")
    check.equal(app.get(f"{dev.base}/v2/user/info/?fields=open_id").status_code, 200, "the new token works")
    dead = app.token["access_token"]
    revoked = app.revoke_token(f"{dev.base}/v2/oauth/revoke/", token=dead, token_type_hint="access_token")
    check.equal(revoked.status_code, 200, "revoke")
    check.equal(revoked.json(), {}, "answers an empty struct")
    headers = {"Authorization": f"Bearer {dead}"}
    after = app.request("GET", f"{dev.base}/v2/user/info/?fields=open_id", withhold_token=True, headers=headers)
    check.equal((after.status_code, after.json()["error"]["code"]), (401, "access_token_invalid"), "and the token is dead")

    app = sign_in("user.info.basic")
    old = app.token["refresh_token"]
    app.refresh_token(f"{dev.base}/v2/oauth/token/", refresh_token=old)
    try:
        app.refresh_token(f"{dev.base}/v2/oauth/token/", refresh_token=old)
        check(False, "a used refresh token is refused")
    except OAuthError as error:
        check.equal(error.error, "invalid_grant", "a used refresh token is invalid_grant")
        check(bool(error.description), "with a description")

    machine = session()
    machine.fetch_token(f"{dev.base}/v2/oauth/token/", grant_type="client_credentials")
    check(machine.token["access_token"].startswith("clt."), "a client token by client_credentials")

    # The library's web integrations look for these two before they ask for a token.
    url, _ = session(scope="user.info.basic portability.all.single").create_authorization_url(f"{dev.base}/v2/auth/authorize/")
    denied = kit.query(kit.Browser(dev, dev.person("typical"), ca).visit(url, decision="deny"))
    check.equal(
        (denied.get("error"), denied.get("error_description")),
        ("access_denied", "user cancelled the authorization"),
        "a denial in exactly these words",
    )


def allauth(dev, check, ca):
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="the app's own",
        ALLOWED_HOSTS=["app.example"],
        ROOT_URLCONF="allauth_urls",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "allauth",
            "allauth.account",
            "allauth.socialaccount",
            "allauth.socialaccount.providers.tiktok",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "allauth.account.middleware.AccountMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
            }
        ],
        AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
        ACCOUNT_EMAIL_VERIFICATION="none",
        SOCIALACCOUNT_LOGIN_ON_GET=True,
        SOCIALACCOUNT_STORE_TOKENS=True,
        SOCIALACCOUNT_PROVIDERS={"tiktok": {"APPS": [{"client_id": dev.client_key, "secret": dev.client_secret}]}},
        LOGIN_REDIRECT_URL="/in/",
    )
    django.setup()
    from allauth.socialaccount.models import SocialAccount, SocialToken
    from django.core.management import call_command
    from django.test import Client
    import requests

    call_command("migrate", verbosity=0)
    web = Client(headers={"host": "app.example"})

    def get(url):
        return web.get(url, secure=True)

    start = get("/accounts/tiktok/login/")
    check.equal(start.status_code, 302, "sent to sign in")
    url = start["Location"]
    check(url.startswith("https://www.tiktok.com/v2/auth/authorize/?"), "at the built-in host", url)
    callback = kit.Browser(dev, dev.person("typical"), ca).visit(url)
    if not check(isinstance(callback, str), "sent back to the app", callback):
        return
    check(callback.startswith(ALLAUTH_CALLBACK), "at its own address", callback)
    done = get(callback.removeprefix("https://app.example"))
    check.equal((done.status_code, done.get("Location")), (302, "/in/"), "signed in")
    account = SocialAccount.objects.filter(provider="tiktok").first()
    if not check(account is not None, "an account was made", done.content[:500]):
        return
    check(account.extra_data.get("display_name"), "with the display name", account.extra_data)
    check(account.extra_data.get("username"), "and the user name of user.info.profile", account.extra_data)
    token = SocialToken.objects.get(account=account)
    check(token.token.startswith("act."), "the token is stored")

    def post(path, **fields):
        own = {"client_key": dev.client_key, "client_secret": dev.client_secret}
        return requests.post(f"{API}{path}", data={**own, **fields}, timeout=30)

    def alive(token):
        answer = requests.get(
            f"{API}/v2/user/info/?fields=open_id", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        return answer.status_code

    check.equal(alive(token.token), 200, "and works")
    # allauth stores the refresh token as the token's secret and leaves refreshing to the app.
    refreshed = post("/v2/oauth/token/", grant_type="refresh_token", refresh_token=token.token_secret)
    check.equal(refreshed.status_code, 200, "refresh")
    new = refreshed.json()["access_token"]
    check.equal(alive(new), 200, "gives a token that works")
    check.equal(post("/v2/oauth/revoke/", token=new).status_code, 200, "revoke")
    check.equal(alive(new), 401, "kills it")

    web.cookies.clear()
    url = get("/accounts/tiktok/login/")["Location"]
    again = kit.Browser(dev, dev.person("typical"), ca).visit(url)
    get(again.removeprefix("https://app.example"))
    check.equal(SocialAccount.objects.count(), 1, "signing in again finds the same account: open_id is stable")

    denied = kit.Browser(dev, dev.person("typical"), ca).visit(get("/accounts/tiktok/login/")["Location"], decision="deny")
    page = get(denied.removeprefix("https://app.example"))
    check(page.status_code in (200, 302), "a denial is understood", page.status_code)


def main():
    check = kit.Checks("oauth-python")
    path, folder = kit.certificate(HOSTS)
    ca = path["ca.pem"]
    os.environ["REQUESTS_CA_BUNDLE"] = ca
    try:
        with kit.Dev(
            *["--tls-cert", path["server.pem"], "--tls-key", path["server.key"]],
            *["--redirect-uri", AUTHLIB_CALLBACK, "--redirect-uri", ALLAUTH_CALLBACK],
        ) as dev:
            kit.map_hosts(dev.base, HOSTS[:2])
            check.attempt("Authlib", lambda: authlib(dev, check, ca))
            check.attempt("django-allauth", lambda: allauth(dev, check, ca))
            if check.failed:
                print("---- the server's log, its end ----\n" + "\n".join(dev.log().splitlines()[-40:]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    check.finish()


if __name__ == "__main__":
    main()
