"""Runs a program and writes down what it and its children used: seconds, seconds of CPU, KiB at most, exit code.

Linux counts a parent's memory as its child's, which has it until it loads its own program. So the parent is this one,
which needs little more than the interpreter.

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
