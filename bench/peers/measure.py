"""Runs a command and prints, as one line of JSON after the command's own output, what the whole process took: wall and CPU
seconds, and the largest resident set in KiB. The numbers are the kernel's, by wait4."""

import json
import os
import sys
import time

start = time.monotonic()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.monotonic() - start
print(json.dumps({
    "exit": os.waitstatus_to_exitcode(status),
    "wall": wall,
    "cpu": usage.ru_utime + usage.ru_stime,
    "peak_kib": usage.ru_maxrss,
}))
