"""Which handler a job has."""

from __future__ import annotations

from mediactl.jobs.claims import Claim
from mediactl.model.buckets.memory import RECALL, REMEMBER
from mediactl.model.jobs import JOIN, PUBLISH
from mediactl.model.media import Kind
from mediactl.pipeline import publish
from mediactl.pipeline.fetching import jobs as fetches
from mediactl.pipeline.handlers import probe
from mediactl.pipeline.handlers.base import Context, Handler
from mediactl.pipeline.handlers.fetch import FetchHandler
from mediactl.pipeline.handlers.make import JoinHandler, MakeHandler, TranscodeHandler
from mediactl.pipeline.handlers.memory import RecallHandler, RememberHandler
from mediactl.pipeline.handlers.piece import PieceHandler
from mediactl.pipeline.handlers.probe import ProbeHandler
from mediactl.pipeline.handlers.upload import PublishHandler, UploadHandler
from mediactl.planning import jobs


class Handlers:
    """The handlers of one run."""

    def __init__(self, context: Context) -> None:
        self._other = Handler(context)
        self._by_operation: dict[str, Handler] = {
            probe.KIND: ProbeHandler(context),
            Kind.IMAGE: MakeHandler(context),
            Kind.AUDIO: MakeHandler(context),
            Kind.VIDEO: TranscodeHandler(context),
            JOIN: JoinHandler(context),
            jobs.PIECE: PieceHandler(context),
            fetches.KIND: FetchHandler(context),
            publish.KIND: UploadHandler(context),
            PUBLISH: PublishHandler(context),
            RECALL: RecallHandler(context),
            REMEMBER: RememberHandler(context),
        }

    def of(self, claim: Claim) -> Handler:
        """Return the handler of a job; jobs of unknown kinds (benchmarks, the self-test) are only run."""
        return self._by_operation.get(claim.operation, self._other)
