"""Checks of the dashboard: its port, its certificate, and who may enter."""

import ssl
from collections.abc import Iterator
from contextlib import closing

from medaet.cli.checks.line import Line, fail, ok, warn
from medaet.cli.checks.lock import is_held
from medaet.config.model import Config
from medaet.config.web import Web
from medaet.errors import ConfigError
from medaet.network.listening import listening_socket
from medaet.store.users import Users, WebRole

LOCK = ".web.lock"


def check_dashboard(config: Config) -> Iterator[Line]:
    """Look at the dashboard, where it is switched on."""
    web = config.web
    if not web.enabled:
        yield ok("dashboard", "off (web.enabled)")
        return
    if is_held(config.spool.path / LOCK):
        yield ok("dashboard", f"it answers on {web.host}, port {web.port}")
    else:
        yield _port(web)
    yield _users(config)
    if web.tls is not None:
        yield _certificate(web)


def _port(web: Web) -> Line:
    try:
        with closing(listening_socket(web.host, web.port, section="web")):
            return ok("dashboard", f"port {web.port} of {web.host} is free")
    except ConfigError as error:
        return fail("dashboard", str(error), "stop what listens there, or choose another web.port")


def _users(config: Config) -> Line:
    lets_in = "`medaet web password NAME` lets somebody in"
    try:
        users = Users(config.users_path).all().values()
    except ConfigError as error:
        return fail("dashboard users", str(error), "mend the file")
    if not users:
        return fail("dashboard users", "nobody may enter", lets_in)
    told = ", ".join(f"{one.name} ({one.role})" for one in users)
    if not any(one.role is WebRole.OPERATE for one in users):
        return warn("dashboard users", f"{told}: nobody may retry or bury", lets_in)
    return ok("dashboard users", told)


def _certificate(web: Web) -> Line:
    assert web.tls is not None
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            web.tls.cert_file, web.tls.key_file
        )
    except (OSError, ssl.SSLError) as error:
        told = f"{web.tls.cert_file} and {web.tls.key_file}: {error.strerror or error}"
        return fail("dashboard TLS", told, "mend web.tls.cert_file and web.tls.key_file")
    return ok("dashboard TLS", str(web.tls.cert_file))
