"""The part of the configuration that is about the dashboard."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import Field, IPvAnyNetwork, model_validator

from medaet.config.section import Port, Section


class WebTls(Section):
    """The certificate that the dashboard shows; without it the dashboard speaks plain HTTP."""

    cert_file: Path
    key_file: Path


class Web(Section):
    """The dashboard."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Port = 8042
    users_file: Path | None = None
    session_seconds: Annotated[float, Field(ge=60, le=86_400)] = 28_800.0
    metrics_token_file: Path | None = None
    proxy_addresses: tuple[IPvAnyNetwork, ...] = ()
    tls: WebTls | None = None

    @model_validator(mode="after")
    def _passwords_are_sealed(self) -> "Web":
        if self.enabled and not (self.is_local or self.is_sealed):
            raise ValueError(
                "host: passwords would cross the network in plain text; add [web.tls], or name the reverse proxy "
                'that speaks TLS in proxy_addresses, or listen on "127.0.0.1"'
            )
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this host can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_sealed(self) -> bool:
        """Whether browsers reach it by TLS."""
        return self.tls is not None or bool(self.proxy_addresses)
