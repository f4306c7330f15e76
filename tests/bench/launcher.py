"""Runs a program and records what it and its children used: seconds, seconds of CPU, peak KiB, exit code.

Linux counts the memory of the parent for a child until the child loads its program. This parent is therefore small:
little more than the interpreter.

Usage: python -I -S launcher.py RESULT PROGRAM [ARGUMENT ...]
"""

import os
import sys
import time

began = time.perf_counter()
child = os.fork()
if not child:
    os.execvp(sys.argv[2], sys.argv[2:])
_, status, used = os.wait4(child, 0)
seconds = time.perf_counter() - began
with open(sys.argv[1], "w") as result:
    result.write(f"{seconds} {used.ru_utime + used.ru_stime} {used.ru_maxrss} {os.waitstatus_to_exitcode(status)}")
