"""A further process of a run on several devices; `distributed.others` starts it.

Run as `python -P -m medaet.compute.training.rank FOLDER MEETING DEVICE RANK WORLD PARENT`.
"""

import sys
from pathlib import Path

from medaet.compute.device import keep_memory
from medaet.compute.training.deterministic import deterministic
from medaet.compute.training.loop import Loop
from medaet.compute.training.place import Place
from medaet.compute.training.prepare import prepared
from medaet.parent import die_with_parent


def main(arguments: list[str]) -> None:
    """Step with the others until the run ends."""
    folder, meeting, device, rank, world, parent = arguments
    die_with_parent(int(parent))
    keep_memory()
    deterministic()
    place = Place(device, int(rank), int(world))
    run = prepared(Path(folder))
    place.join(Path(meeting))
    loop = Loop(run.plan, run.config, run.loop_cases, place, run.folder)
    loop.resume()
    for _ in loop.run():
        pass
    place.leave()


if __name__ == "__main__":
    main(sys.argv[1:])
