"""Schemathesis holds both surfaces to /openapi.json: what is described is answered as described, what is not is refused.

Bounded: so many examples an operation, with a fixed seed, so that a failure comes again.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

import portward_dev as kit

# Examples of each operation in each phase; the whole suite stays below two minutes.
EXAMPLES = "25"
SEED = "20261122"

SURFACES = {
    "own": ("^/(v1/|openapi)", {}),
    "wire": ("^/v2/", {}),
}


def surface(dev, check, name, token, folder):
    paths, excluded = SURFACES[name]
    report = os.path.join(folder, f"{name}.xml")
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{dev.base}/openapi.json"]
    command += ["--include-path-regex", paths, "--header", f"Authorization: Bearer {token}"]
    command += ["--max-examples", EXAMPLES, "--seed", SEED, "--no-color", "--suppress-health-check", "all"]
    command += ["--report", "junit", "--report-junit-path", report, "--continue-on-failure"]
    if excluded:
        command += ["--exclude-checks", ",".join(excluded)]
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
    check(run.returncode == 0 and len(cases) > 3, f"{name}: schemathesis finds nothing", f"{len(cases)} operations, status {run.returncode}")


def main():
    check = kit.Checks("schemathesis")
    # It makes some hundred calls a second: quotas have tests of their own.
    quota = {"PORTWARD__QUOTAS__PER_MINUTE": "1000000"}
    with kit.Dev(env=quota) as dev, tempfile.TemporaryDirectory() as folder:
        for name in SURFACES:
            token = kit.tokens(dev)["access_token"]
            check.attempt(name, lambda: surface(dev, check, name, token, folder))
        log = dev.log()
        check("panicked" not in log, "the server never panicked", log[-2000:])
    check.finish()


main()
