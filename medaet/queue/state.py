"""The life of a job, drawn, then as data.

              enqueue
                 |
                 v        lease                complete                encode             keep
     .------> ready ------------> leased ------------> analysed ------------> encoding --------> done
     |           ^                 |  |                    ^                    |    |
     |           '-----------------'  |                    '--------------------'    |
     |     transient error, rescue    | permanent error      transient error, rescue | permanent error,
     |                                | or attempts used up                          | or failed proof
     |   requeue                      v                                              v
     '---------------------------- dead <--------------------------------------------'

Every state may also become `superseded`: a later generation of the series has a job of its own.
`leased` and `encoding` are held under a lease; each lease has a number, `attempt`, that fences every write.
"""

from medaet.store.tables import JobState

MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.READY: frozenset({JobState.LEASED, JobState.DEAD, JobState.SUPERSEDED}),
    JobState.LEASED: frozenset(
        {JobState.READY, JobState.ANALYSED, JobState.DEAD, JobState.SUPERSEDED}
    ),
    JobState.ANALYSED: frozenset({JobState.ENCODING, JobState.DEAD, JobState.SUPERSEDED}),
    JobState.ENCODING: frozenset(
        {JobState.ANALYSED, JobState.DONE, JobState.DEAD, JobState.SUPERSEDED}
    ),
    JobState.DONE: frozenset({JobState.SUPERSEDED}),
    JobState.DEAD: frozenset({JobState.READY, JobState.SUPERSEDED}),
    JobState.SUPERSEDED: frozenset(),
}

HELD: dict[JobState, JobState] = {
    JobState.LEASED: JobState.READY,
    JobState.ENCODING: JobState.ANALYSED,
}
"""States under a lease, and where a job goes back to when its lease ends."""

FINAL = frozenset({JobState.DONE, JobState.DEAD, JobState.SUPERSEDED})
"""States in which nothing more happens by itself."""


def allowed(before: JobState, after: JobState) -> bool:
    """Whether a job may move from one state to the other."""
    return after in MOVES[before]
