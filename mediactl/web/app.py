"""The application: paths to pages, and what a page that cannot be shown is answered with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from mediactl.core.errors import MediactlError, UsageError
from mediactl.web import actions, live, outputs, pages, rendering
from mediactl.web.access import Guard, Tokens
from mediactl.web.outputs import Output
from mediactl.web.previews import Previews

Show = Callable[[Output, Mapping[str, str]], dict[str, Any]]
Endpoint = Callable[[Request], Awaitable[Response]]

PAGES: Mapping[str, Show] = {
    "overview": pages.overview,
    "jobs": pages.jobs,
    "failures": pages.failures,
    "uploads": pages.uploads,
    "runs": pages.runs,
    "folders": pages.folders,
}
"""Name in paths and of the template -> what it shows."""


class Dashboard:
    """The pages of some output directories."""

    def __init__(self, found: Sequence[Output], *, actions: bool, is_ending: Callable[[], bool]) -> None:
        self._outputs = {each.number: each for each in found}
        self._actions = actions
        self._is_ending = is_ending
        self._previews = Previews()

    def app(self, port: int, tokens: Tokens) -> ASGIApp:
        """Return the application, behind its guard."""
        routes: list[Route | Mount] = [
            Route("/", self._start),
            Mount("/static", StaticFiles(directory=rendering.STATIC)),
            Route("/favicon.ico", self._icon),
            *(Route(f"/{{out:int}}/{name}", self._page(name, show)) for name, show in PAGES.items()),
            Route("/{out:int}/history", self._data(pages.history)),
            Route("/{out:int}/jobs/count", self._data(pages.count)),
            Route("/{out:int}/jobs/{key}", self._job),
            Route("/{out:int}/before/{key}", self._before),
            Route("/{out:int}/files/{source:int}/{name:path}", self._file),
            Route("/{out:int}/live", self._live),
        ]
        if self._actions:
            routes += [
                Route("/{out:int}/failures/retry", self._retry_group, methods=["POST"]),
                Route("/{out:int}/jobs/{key}/{action}", self._act, methods=["POST"]),
            ]
        return Guard(Starlette(routes=routes), port, tokens)

    async def _start(self, request: Request) -> Response:
        if len(self._outputs) == 1:
            return RedirectResponse(f"{next(iter(self._outputs.values())).base}/overview", 303)
        return self._rendered(request, None, "start", {})

    async def _icon(self, request: Request) -> Response:
        """For the page of the link, which is not of a template."""
        return RedirectResponse("/static/icon.svg", 303)

    def _page(self, name: str, show: Show) -> Endpoint:
        async def page(request: Request) -> Response:
            output = self._output(request)
            if output is None:
                return _missing()
            return await self._shown(request, output, name, lambda: show(output, request.query_params))

        return page

    def _data(self, show: Show) -> Endpoint:
        async def data(request: Request) -> Response:
            output = self._output(request)
            if output is None:
                return _missing()
            try:
                return JSONResponse(await run_in_threadpool(show, output, request.query_params))
            except MediactlError as error:
                return JSONResponse({"error": str(error)}, _status(error))

        return data

    async def _job(self, request: Request) -> Response:
        output = self._output(request)
        if output is None:
            return _missing()
        return await self._shown(request, output, "job", lambda: pages.job(output, request.path_params["key"]))

    async def _before(self, request: Request) -> Response:
        output = self._output(request)
        if output is None:
            return _missing()
        try:
            found = await run_in_threadpool(pages.job, output, request.path_params["key"])
            if found is None or found["after"] is None:
                return _missing()
            preview = await self._previews.of(found["origin"])
        except MediactlError as error:
            return PlainTextResponse(f"{error}\n", 404)
        return Response(preview, media_type="image/webp", headers={"cache-control": "private, max-age=600"})

    async def _file(self, request: Request) -> Response:
        output, wanted = self._output(request), request.path_params
        if output is None:
            return _missing()

        def opened() -> Response:
            with output.reading() as rows:
                derived = rows.listing.derived(wanted["source"], wanted["name"])
            return outputs.response_with(output, derived)

        try:
            return await run_in_threadpool(opened)
        except MediactlError as error:
            return PlainTextResponse(f"{error}\n", _status(error))

    async def _live(self, request: Request) -> Response:
        output = self._output(request)
        return _missing() if output is None else live.response(output, self._is_ending)

    async def _retry_group(self, request: Request) -> Response:
        return await self._changed(request, actions.retry_group, "failures")

    async def _act(self, request: Request) -> Response:
        key, action = request.path_params["key"], request.path_params["action"]
        return await self._changed(request, lambda output, _: actions.on_job(output, key, action), f"jobs/{key}")

    async def _changed(
        self, request: Request, change: Callable[[Output, Mapping[str, str]], int], page: str
    ) -> Response:
        """Answer a form with the page that it was on, which says how many jobs were changed."""
        output = self._output(request)
        if output is None:
            return _missing()
        try:
            fields = actions.form(await _body(request))
            changed = await run_in_threadpool(change, output, fields)
        except MediactlError as error:
            return self._rendered(request, output, "error", {"reason": str(error)}, _status(error))
        return RedirectResponse(f"{output.base}/{page}?changed={changed}", 303)

    async def _shown(
        self, request: Request, output: Output, template: str, show: Callable[[], dict[str, Any] | None]
    ) -> Response:
        try:
            values = await run_in_threadpool(show)
        except MediactlError as error:
            return self._rendered(request, output, "error", {"reason": str(error)}, _status(error))
        if values is None:
            return _missing()
        return self._rendered(request, output, template, values)

    def _rendered(
        self, request: Request, output: Output | None, template: str, values: dict[str, Any], code: int = 200
    ) -> Response:
        changed = request.query_params.get("changed", "")
        return rendering.page(
            template,
            {
                **values,
                "output": output,
                "outputs": list(self._outputs.values()),
                "actions": self._actions,
                "changed": int(changed) if changed.isascii() and changed.isdigit() and len(changed) < 10 else None,
                "address": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
                "here": template,
            },
            code,
        )

    def _output(self, request: Request) -> Output | None:
        return self._outputs.get(request.path_params["out"])


async def _body(request: Request) -> bytes:
    """Return a form, of which no more is read than a form may have. Raises UsageError."""
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > actions.LARGEST:
            raise UsageError("the form is too large")
    return body


def _status(error: MediactlError) -> int:
    return 400 if isinstance(error, UsageError) else 503


def _missing() -> Response:
    return PlainTextResponse("Not found.\n", 404)
