"""Makes the script of `psql ... | zip -6`: each section's visible columns as JSON rows made by the server.

    psql.py PLAN.json SUBJECT > SCRIPT.sql
"""

import json
import re
import sys

plan = json.load(open(sys.argv[1]))
print("begin isolation level repeatable read read only;")
for section in plan["sections"]:
    if "query" not in section:
        continue
    since, until = (f"'{value}'" if isinstance(value, str) else f"'{value}'::bigint" for value in section["extremes"])
    binds = {"subject": sys.argv[2], "since": since, "until": until}
    query = re.sub(r"(?<![:\w']):(subject|since|until)\b", lambda found: binds[found[1]], section["query"])
    hidden = set(section.get("hidden", [])) | {section.get("owner")}
    visible = [name for name in re.findall(r'as "([^"]+)"', query) if name not in hidden]
    columns = ", ".join(f'q."{name}"' for name in dict.fromkeys(visible)) or "q.*"
    # Comments would swallow the bracket.
    query = " ".join(re.sub(r"--[^\n]*", "", query).split())
    print(f"copy (select row_to_json(r) from (select {columns} from ({query.rstrip('; ')}) q) r) to stdout;")
