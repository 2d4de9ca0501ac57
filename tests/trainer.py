"""A stand-in for the training process: it takes the same arguments and leaves the same files, but learns nothing.

Like the gate, it has a child in a session of its own (`child` in the status), which lives no longer than its input.
It ends when the file `ended` appears in the folder of the run: with the exit status written there, and its reason as
the last line of the log.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

COMMAND = (sys.executable, "-S", __file__)


def main() -> int:
    """Claim to train until told to end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--agent", type=int)
    parser.add_argument("--device", action="append")
    options = parser.parse_args()
    step, ended = 0, options.out / "ended"
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True)
    while not ended.exists():
        step += 1
        status = {
            "phase": "training",
            "step": step,
            "child": child.pid,
            "name": json.loads(options.config.read_text())["name"],
        }
        part = options.out / "status.part"
        part.write_text(json.dumps(status))
        part.replace(options.out / "status.json")
        time.sleep(0.02)
    status, _, reason = ended.read_text().partition(" ")
    if reason:
        sys.stderr.write(json.dumps({"event": "training.failed", "reason": reason}) + "\n")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
