#!/usr/bin/env python3
"""peak.py FILE COMMAND…: runs the command and writes the most memory it had resident, in KiB, to FILE."""

import os
import resource
import subprocess
import sys

environment = {name: value for name, value in os.environ.items() if not name.startswith("ARTIFACTSTORE_")}
code = subprocess.run(sys.argv[2:], env=environment, check=False).returncode
with open(sys.argv[1], "w", encoding="ascii") as file:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=file)
sys.exit(code)
