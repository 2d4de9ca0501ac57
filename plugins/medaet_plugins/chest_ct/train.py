"""The run that made the network of this plugin: `training.toml` beside this file, on the bundled chest CT.

    python -m medaet_plugins.chest_ct.train --out RUN --judge FOLDER

FOLDER holds one series of another patient's chest CT, on which the network is judged; it learns nothing from it.
Under half an hour on two cores. The same seed and number of threads give the same weights; those beside this file were
made with one thread (`taskset -c 0`).
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from medaet.demo.scans import write_scan

CONFIG = Path(__file__).with_name("training.toml")


def main() -> None:
    """Lay the scans out as the configuration names them, and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--judge", type=Path, required=True)
    options = parser.parse_args()
    scans = options.out / "scans"
    write_scan("chest-ct", scans / "learn")
    shutil.copytree(options.judge, scans / "judge", dirs_exist_ok=True)
    config = shutil.copyfile(CONFIG, options.out / CONFIG.name)
    command = [sys.executable, "-P", "-m", "medaet", "train", str(config), "--out"]
    subprocess.run([*command, str(options.out / "run")], check=True)


if __name__ == "__main__":
    main()
