"""Traces for OpenTelemetry, over OTLP/HTTP: a span for each source, and below it one for each attempt of its jobs.

The span of a source is sent by the run that finishes it; until then its ID stands in the journal.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mediactl.model.events import AttemptEnded, Event, RunFailed, SourceTrace, Summary
from mediactl.monitor.monitors import Background
from mediactl.monitor.tracing import NAME

FLUSH = 5.0
"""Seconds that the end of a run waits for a collector."""
SUCCESSES = frozenset({"done", "ignored"})
"""States of sources that are no errors."""


class OtelSender:
    """Sends spans from a thread; nothing waits for it but ``close``."""

    takes = (AttemptEnded, Summary, RunFailed)

    def __init__(self) -> None:
        self.name = NAME
        self._tracer: _Tracer | None = None
        self._background = Background(self.name, self._send)

    @property
    def trouble(self) -> str:
        """What does not work, in words."""
        known, tracer = self._background.trouble, self._tracer
        if tracer is None:
            return known
        return tracer.trouble or (known and tracer.refusal) or known

    def start(self) -> None:
        """Start the thread."""
        self._background.start()

    def take(self, event: Event) -> None:
        """Have an attempt be sent; at the end, all that is left."""
        self._background.take(event)

    def close(self, deadline: float) -> None:
        """Send what there is, by then."""
        self._background.close(min(deadline, time.monotonic() + FLUSH))

    def _send(self, events: list[Event]) -> None:
        for event in events:
            if not isinstance(event, AttemptEnded):
                if self._tracer is not None:
                    self._tracer.close()
            elif event.trace is not None:
                self._tracer = self._tracer or _Tracer()
                self._tracer.add(event, event.trace)


class _Tracer:
    """OpenTelemetry's SDK, imported when there is something to send; used by one thread."""

    def __init__(self) -> None:
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        from mediactl import __version__

        log = logging.getLogger("opentelemetry")
        log.addHandler(logging.NullHandler())  # what it has to say is ``trouble``
        log.propagate = False
        self.trouble = ""
        self.refusal = ""
        """The last answer, where it was an error; the exporter may still be repeating its request."""

        def note(answer: Any, *_: Any, **__: Any) -> None:
            self.refusal = f"answered {answer.status_code}" if answer.status_code >= 400 else ""

        session = requests.Session()
        session.hooks["response"].append(note)
        tracer = self

        class Exporter(OTLPSpanExporter):
            def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
                tracer.refusal = ""
                result = super().export(spans)
                if result is not SpanExportResult.SUCCESS:
                    tracer.trouble = tracer.trouble or tracer.refusal or "does not answer"
                return result

        class Ids(RandomIdGenerator):
            """IDs of the journal for spans of sources, random ones for others."""

            source: SourceTrace | None = None

            def generate_trace_id(self) -> int:
                return super().generate_trace_id() if self.source is None else int(self.source.trace, 16)

            def generate_span_id(self) -> int:
                return super().generate_span_id() if self.source is None else int(self.source.span, 16)

        resource = Resource.create({"service.version": __version__})
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "mediactl"}))
        self._ids = Ids()
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(Exporter(session=session)))
        self._tracer = self._provider.get_tracer("mediactl", __version__)

    def add(self, event: AttemptEnded, source: SourceTrace) -> None:
        """Add the span of an attempt, and that of its source if it is finished."""
        from opentelemetry.trace import set_span_in_context

        assert event.time is not None
        self._ids.source = source
        above = self._tracer.start_span(
            "source",
            _context(source.parent),
            start_time=_nanoseconds(source.began_at),
            attributes={"mediactl.path": source.path, "mediactl.bytes": source.size},
        )
        self._ids.source = None
        attributes: dict[str, str | int] = {
            "mediactl.operation": event.operation,
            "mediactl.lane": event.lane,
            "mediactl.attempt": event.attempt,
            "mediactl.outcome": event.outcome,
            "mediactl.bytes": source.size if event.sent is None else event.sent,
        }
        if event.piece is not None:
            attributes["mediactl.piece"] = event.piece
        began = _nanoseconds(event.time - event.seconds)
        span = self._tracer.start_span(
            event.operation, set_span_in_context(above), start_time=began, attributes=attributes
        )
        _end(span, event.result == "success", event.time)
        if source.state:
            above.set_attribute("mediactl.outcome", source.state)
            _end(above, source.state in SUCCESSES, event.time)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _context(parent: str) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: Mapping[str, str] = {"traceparent": parent} if parent else {}
    return TraceContextTextMapPropagator().extract(carrier, Context())


def _end(span: Any, success: bool, at: float) -> None:
    """End a span. Its status has no description: reasons may name buckets and files."""
    from opentelemetry.trace import Status, StatusCode

    if not success:
        span.set_status(Status(StatusCode.ERROR))
    span.end(_nanoseconds(at))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
