"""What the child gives up before it runs plugin code: the network, privileges, core dumps, life after its agent."""

import ctypes
import os
import resource

from medaet.parent import die_with_parent

PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


def isolate(agent: int) -> bool:
    """Restrict this process, which must have one thread only.

    Args:
        agent: Process id of the agent; the kernel kills this process when the agent dies.

    Returns:
        Whether the network is cut off; containers and some kernels do not permit it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    die_with_parent(agent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    flags = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWUSER | CLONE_NEWNET
    cut = libc.unshare(flags) == 0
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(cut)
