"""Webhooks verified by the reference libraries of Standard Webhooks: in Python here, in Node by a script; in Rust the workspace's own tests do it.

The receiver fails first, so that two attempts of one message are verified.
"""

import base64
import http.server
import json
import os
import pathlib
import subprocess
import threading
import time

import portward_dev as kit
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

NODE_SCRIPT = pathlib.Path(__file__).parents[1] / "node" / "standard-webhooks.mjs"


class Receiver(http.server.BaseHTTPRequestHandler):
    """Refuses its first call, takes the others, and keeps them all."""

    calls = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(500 if len(self.calls) == 1 else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


def verifies(secret, headers, body):
    try:
        Webhook(secret).verify(body, headers)
        return True
    except WebhookVerificationError:
        return False


def main():
    check = kit.Checks("standard-webhooks")
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with kit.Dev("--webhook-url", f"http://127.0.0.1:{receiver.server_port}/hook") as dev:
        tokens = kit.tokens(dev)
        kit.form_post(dev, "/v2/oauth/revoke/", {**kit.credentials(dev), "token": tokens["access_token"]})
        for _ in range(200):
            if len(Receiver.calls) >= 2:
                break
            time.sleep(0.1)
        calls = list(Receiver.calls)
        check.equal(len(calls), 2, "the call that was refused is made again")
        secret = "whsec_" + base64.b64encode(dev.client_secret.encode()).decode()
        check.equal(calls[0][0]["webhook-id"], calls[-1][0]["webhook-id"], "both are one message")
        for at, (headers, body) in enumerate(calls):
            check(verifies(secret, headers, body), f"Python verifies attempt {at + 1}", headers)
            check(not verifies(secret, headers, body + b" "), "and nothing else")
            check(not verifies("whsec_" + base64.b64encode(b"another").decode(), headers, body), "with no other secret")
            check(not verifies(secret, {**headers, "webhook-id": "msg_1"}, body), "nor another number")
        told = json.dumps({"secret": secret, "calls": [[headers, body.decode()] for headers, body in calls]})
        node = subprocess.run([os.environ.get("NODE", "node"), NODE_SCRIPT], input=told, capture_output=True, text=True, timeout=60)
        check.equal((node.stdout.strip(), node.returncode), (f"{len(calls)} verified, {len(calls)} refused", 0), "Node verifies them too")
        if node.stderr:
            print(node.stderr)
    check.finish()


if __name__ == "__main__":
    main()
