"""Who is logged in: sessions in memory, each known by a cookie, and how often an address may try a password."""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from medaet.clock import Clock
from medaet.errors import ConfigError
from medaet.store.users import User, Users, WebRole

log = structlog.get_logger()

MOST_SESSIONS = 1000
MOST_KEYS = 10_000
TRIES = 5
TRIES_WITHIN = timedelta(minutes=5)


@dataclass(slots=True)
class Session:
    """Somebody who is logged in.

    Attributes:
        csrf: Every form of this session repeats it.
        secret: The hash of the password it was opened with: another password ends it.
        notice: What became of the last decision; shown once.
    """

    user: str
    role: WebRole
    secret: str
    ends_at: datetime
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    notice: str = ""

    @property
    def may_operate(self) -> bool:
        """Whether it may retry and bury."""
        return self.role is WebRole.OPERATE


class Sessions:
    """The sessions of one process; a restart ends them all.

    Args:
        users: Who may enter.
        length: After which everybody logs in again.
        clock: Tells which sessions have ended.
    """

    def __init__(self, users: Users, length: timedelta, clock: Clock) -> None:
        self._users = users
        self._length = length
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._open: OrderedDict[bytes, Session] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, user: User) -> str:
        """Begin a session; return its token, of which only a hash is kept."""
        token = secrets.token_urlsafe(32)
        session = Session(user.name, user.role, user.secret, self._clock.now() + self._length)
        with self._lock:
            self._open[_hash(token)] = session
            while len(self._open) > MOST_SESSIONS:
                self._open.popitem(last=False)
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token, unless it has ended, or its user has another password, role, or none."""
        key = _hash(token)
        with self._lock:
            session = self._open.get(key)
        if session is None:
            return None
        if self._clock.now() < session.ends_at and self._still_welcome(session):
            return session
        self.close(token)
        return None

    def close(self, token: str) -> None:
        """End a session."""
        with self._lock:
            self._open.pop(_hash(token), None)

    def login_token(self, cookie: str) -> str:
        """Return what the login form has to repeat beside a cookie that only this host can have set."""
        return hmac.new(self._key, cookie.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def _still_welcome(self, session: Session) -> bool:
        try:
            user = self._users.all().get(session.user)
        except ConfigError as error:
            log.error("users.refused", reason=str(error))
            return False
        return user is not None and (user.secret, user.role) == (session.secret, session.role)


class Tries:
    """How often somebody may try; each try counts before it is known how it ends.

    Args:
        clock: Tells how long ago a try was.
        most: Within the time.
        within: The time.
    """

    def __init__(
        self, clock: Clock, *, most: int = TRIES, within: timedelta = TRIES_WITHIN
    ) -> None:
        self._clock = clock
        self._most = most
        self._within = within
        self._made: OrderedDict[str, deque[datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, who: str) -> timedelta:
        """Count a try; return how long to wait when it is one too many, or zero."""
        now = self._clock.now()
        with self._lock:
            made = self._made.setdefault(who, deque())
            self._made.move_to_end(who)
            while len(self._made) > MOST_KEYS:
                self._made.popitem(last=False)
            while made and made[0] <= now - self._within:
                made.popleft()
            if len(made) >= self._most:
                return made[0] + self._within - now
            made.append(now)
        return timedelta(0)

    def forgive(self, who: str) -> None:
        """Forget the tries of somebody who knew the password."""
        with self._lock:
            self._made.pop(who, None)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
