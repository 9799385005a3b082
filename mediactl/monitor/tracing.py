"""Whether traces are sent, by OpenTelemetry's standard variables; without importing it, which takes 100 ms."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mediactl.core import distributions

NAME = "OpenTelemetry"
PACKAGES = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(-.*)?")
"""https://www.w3.org/TR/trace-context/#traceparent-header; later versions may append fields."""


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Return whether the variables ask for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return any(environment.get(name) for name in ENDPOINTS)


def trouble(environment: Mapping[str, str]) -> str:
    """Return why traces that are asked for cannot be sent, or ""."""
    if not is_asked_for(environment):
        return ""
    if any(distributions.version(package) is None for package in PACKAGES):
        return "no traces are sent; install mediactl[otel]"
    protocol = next(filter(None, map(environment.get, PROTOCOLS)), "http/protobuf")
    return "" if protocol == "http/protobuf" else "no traces are sent; the only supported protocol is http/protobuf"


def traceparent(environment: Mapping[str, str]) -> str | None:
    """Return the traceparent that new sources join, "" without a valid one; None: no traces are sent."""
    if not is_asked_for(environment) or trouble(environment):
        return None
    found = _PARENT.fullmatch(environment.get("TRACEPARENT", "").strip())
    return "" if found is None else f"00-{found[1]}"
