"""Schemathesis holds both surfaces to /openapi.json: what is described is answered as described, what is not is refused.

Bounded: so many examples an operation, with a fixed seed, so that a failure comes again.
"""

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

import portward_dev as kit

# Examples of each operation in each phase; the whole suite stays below two minutes.
EXAMPLES = "25"
SEED = "20261122"

# What a description cannot say, or the contract wants otherwise. Everything else that Schemathesis checks holds.
OWN = """
[checks]
# A deleted request stays, and says that it is cancelled; it is the archive that is gone.
use_after_free.enabled = false

[[operations]]
include-operation-id = "createRequest"
# 400: `since` must lie before `until`. 422: the key was used for another wish; the examples have few keys.
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "409", "422"]

[[operations]]
include-operation-id-regex = "Archive$"
# 410: cancelled or failed. 412 and 416 are what made-up conditions and ranges come to.
checks.positive_data_acceptance.expected-statuses = ["2xx", "304", "401", "404", "409", "410", "412", "416"]
"""
OPERATOR = """
[phases.stateful]
# One call, to which nothing links.
enabled = false
[checks]
# 404: made-up subjects are nobody's. 422: the examples have few keys. 429: calls without a token, beyond what one address may try.
positive_data_acceptance.expected-statuses = ["2xx", "404", "422", "429"]
negative_data_rejection.expected-statuses = ["400", "401", "404", "405", "413", "415", "422", "429"]
"""
WIRE = """
[checks]
# The wire answers 400 to what the right form alone does not make right: numbers of no request, unknown fields, codes that are used up (contract 4 and 6).
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "400", "401", "403"]

[[operations]]
include-operation-id = "authorize"
# Who is not signed in is sent to do that first, whatever the address asks; what is wrong with it is told on a page then (contract 3.1).
checks.negative_data_rejection.enabled = false
"""

# Paths, settings, and how many operations there are at least.
SURFACES = {
    "own": ("^/(v1/requests|openapi)", OWN, 4),
    "operator": ("^/v1/people", OPERATOR, 1),
    "wire": ("^/v2/", WIRE, 4),
}


def token_for(dev, name):
    if name != "operator":
        return kit.tokens(dev)["access_token"]
    config = os.path.join(dev.data_dir, "portward.toml")
    command = [kit.binary(), "admin", "--json", "--config", config, "tokens", "add", "suite", "--scope", "people.events"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["token"]


def surface(dev, check, name, token, folder):
    paths, settings, least = SURFACES[name]
    report, config = os.path.join(folder, f"{name}.xml"), os.path.join(folder, f"{name}.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(settings)
    # The command lies beside the interpreter that it was installed for.
    program = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    command = [program, "--config-file", config, "run", f"{dev.base}/openapi.json"]
    command += ["--include-path-regex", paths, "--header", f"Authorization: Bearer {token}"]
    command += ["--max-examples", EXAMPLES, "--seed", SEED, "--no-color", "--suppress-health-check", "all"]
    command += ["--report", "junit", "--report-junit-path", report, "--continue-on-failure"]
    run = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    if run.returncode not in (0, 1) or not os.path.exists(report):
        check(False, f"schemathesis runs on {name}", run.stdout[-4000:] + run.stderr[-4000:])
        return
    cases = list(xml.parse(report).iter("testcase"))
    for case in cases:
        bad = [part for part in case if part.tag in ("failure", "error", "skipped")]
        check(not bad, f"{name}: {case.get('name')}")
    if run.returncode:
        print(run.stdout)
    check(run.returncode == 0 and len(cases) >= least, f"{name}: schemathesis finds nothing", f"{len(cases)} operations, status {run.returncode}")


def main():
    check = kit.Checks("schemathesis")
    # It makes some hundred calls a second: quotas have tests of their own.
    quota = {"PORTWARD__QUOTAS__PER_MINUTE": "1000000"}
    with kit.Dev(env=quota) as dev, tempfile.TemporaryDirectory() as folder:
        for name in SURFACES:
            token = token_for(dev, name)
            check.attempt(name, lambda: surface(dev, check, name, token, folder))
        log = dev.log()
        check("panicked" not in log, "the server never panicked", log[-2000:])
    check.finish()


main()
