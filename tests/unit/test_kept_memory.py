"""The memory that a training process frees and takes again."""

import subprocess
import sys

PROGRAM = """
import resource
import torch
from medaet.compute.device import keep_memory
keep_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        held = [torch.ones(7_000_000) for _ in range(4)]
        del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_tensors_that_take_the_place_of_freed_ones_need_no_new_pages() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, timeout=120
    )
    # of the 137,000 that twenty tensors of 28 MB have; older C libraries keep 32 MB at most
    assert int(done.stdout) < 1000
