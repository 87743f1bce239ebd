"""The routes: a page, predictions, models, and the run folders below one folder."""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi import Path as PathOf
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from tumorline.app.answer_types import (
    HealthAnswer,
    ModelAnswer,
    PlaceAnswer,
    PredictionAnswer,
    RunAnswer,
)
from tumorline.app.answers import MEDIA_TYPES, Task
from tumorline.app.catalogue import describe_models
from tumorline.app.guard import ASK_FOR_TOKEN, COOKIE, Guard
from tumorline.app.head import AnswerHead
from tumorline.app.limits import Limits, Refusal
from tumorline.app.openapi import BODY, refusals
from tumorline.app.page import STATIC, read_page, read_static
from tumorline.app.parameters import refuse_unknown_parameters
from tumorline.app.records import Record
from tumorline.app.request_folder import open_request_folder
from tumorline.app.run_pages import describe_runs
from tumorline.app.state import AppSettings, AppState
from tumorline.app.uploads import receive_files, refuse_large_body
from tumorline.app.waiting import TICKET
from tumorline.environment import versions
from tumorline.escaping import one_line

SANDBOX = "sandbox allow-scripts allow-downloads allow-popups allow-modals"
"""Of run pages, which may come from anyone: their scripts reach nothing of the app."""
TOO_BUSY, RETRY_S = 503, 5
VERSION = versions()["tumorline"]

Model = Annotated[str, Query(description="One of /models.", max_length=300)]
Tta = Annotated[Literal["none", "flips", "all"], Query(description="Test-time augmentation.")]
EnhancingLabel = Annotated[Literal["", "3", "4"], Query(description="As what BraTS's enhancing tumour is written.")]
Answer = Annotated[
    Literal["json", "zip", "mask"],
    Query(description="Figures with the files in base64, an archive, or the mask of the only case."),
]
View = Annotated[bool, Query(description="Send what the case viewer shows as well.")]
Ticket = Annotated[
    str, Query(description="A text of your own by which /progress can be asked.", pattern=f"^$|{TICKET}")
]
PREDICTED: Record = {
    "model": PredictionAnswer,
    "description": "The figures, with the files within.",
    "content": {
        media_type: {"schema": {"type": "string", "format": "binary"}}
        for media_type in {*MEDIA_TYPES.values()} - {"application/json"}
    },
}


class AnswerFile(FileResponse):
    """The answer of a request, which keeps its place and its folder until it is sent or cannot be sent."""

    def __init__(self, outcome: Mapping[str, str], held: AsyncExitStack, seconds: int) -> None:
        super().__init__(outcome["path"], media_type=outcome["media_type"], filename=outcome["name"])
        self.held, self.seconds = held, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.held, asyncio.timeout(self.seconds):
            await super().__call__(scope, receive, send)


def create_app(settings: AppSettings | None = None) -> FastAPI:
    """The application, to be run by a server or by a test."""
    state = AppState(settings or AppSettings())
    app = FastAPI(
        title="Tumorline",
        version=VERSION,
        summary="Segmentation of brain tumours in MRI. Research software: not a medical device.",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        lifespan=state.running,
        dependencies=[Depends(refuse_unknown_parameters)],
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )
    app.state.shared = state
    app.add_middleware(AnswerHead)
    app.add_middleware(Guard, door=state.settings.door)
    _add_handlers(app)
    _add_page(app, state)
    _add_questions(app, state)
    _add_predict(app, state)
    _add_runs(app, state)
    return app


def _add_handlers(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    async def refuse(_request: Request, refusal: Refusal) -> Response:
        headers = {"Retry-After": str(RETRY_S)} if refusal.status == TOO_BUSY else None
        return JSONResponse({"error": str(refusal)}, refusal.status, headers)

    @app.exception_handler(HTTPException)
    async def refuse_route(_request: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def refuse_value(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][1:]))
        return JSONResponse({"error": one_line(f"{where}: {first['msg']}")}, 422)

    @app.exception_handler(OSError)
    async def refuse_writing(_request: Request, error: OSError) -> Response:
        return JSONResponse({"error": f"the files cannot be kept ({error.strerror})"}, 507)


def _add_page(app: FastAPI, state: AppState) -> None:
    @app.get("/", include_in_schema=False)
    async def page(request: Request, token: str = "") -> Response:
        door = state.settings.door
        if not token or not door.token:
            return HTMLResponse(read_page())
        if not door.accepts(token):
            raise Refusal(401, ASK_FOR_TOKEN)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="lax", secure=request.url.scheme == "https")
        return answer

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name not in STATIC:
            raise Refusal(404, "no such file")
        content, media_type = read_static(name)
        return Response(content, media_type=media_type)


def _add_questions(app: FastAPI, state: AppState) -> None:
    @app.get("/health", response_model=HealthAnswer, responses=refusals())
    async def health() -> Record:
        """Whether the app is there, how busy it is, and what a request may cost."""
        return {
            "version": VERSION,
            "predicting": state.room.predicting,
            "waiting": state.room.waiting,
            "limits": state.limits.to_json(),
        }

    @app.get("/models", response_model=list[ModelAnswer], responses=refusals())
    def models() -> list[Record]:
        """The models that can be asked for, each with what it was measured to do and where it fails."""
        first = state.settings.first_model
        return sorted(describe_models(state.models()), key=lambda model: bool(model["name"] != first))

    @app.get("/progress/{ticket}", response_model=PlaceAnswer, responses=refusals(404, 422))
    async def progress(ticket: Annotated[str, PathOf(pattern=TICKET)]) -> Record:
        """How far a request is that was sent with this ticket."""
        place = state.room.find_place(ticket)
        if place is None:
            raise Refusal(404, "no request with this ticket is here")
        record = {key: value for key, value in asdict(place).items() if key != "ticket"}
        return {**record, "ahead": state.room.ahead_of(place)}


def _add_predict(app: FastAPI, state: AppState) -> None:
    @app.post(
        "/predict",
        response_class=Response,
        responses={200: PREDICTED, **refusals(400, 404, 408, 409, 413, 415, 422, 500, 503, 507)},
        openapi_extra={"requestBody": BODY},
    )
    async def predict(
        request: Request,
        model: Model = state.settings.first_model,
        tta: Tta = "none",
        enhancing_label: EnhancingLabel = "",
        answer: Answer = "json",
        view: View = False,
        ticket: Ticket = "",
    ) -> Response:
        """Predict what is sent: images, volumes, DICOM slices, or the channels of a scan. Nothing of it is kept."""
        refuse_large_body(request, state.limits)
        label = int(enhancing_label) if enhancing_label else None
        path = state.find_model(model)
        asked = Task("", [], str(path), model, tta=tta, enhancing_label=label, answer=answer, view=view)
        async with AsyncExitStack() as resources:
            place = resources.enter_context(state.room.place(ticket))
            folder = await resources.enter_async_context(open_request_folder(state.root))
            task = await _receive(request, asked, folder, state.limits)
            outcome = await while_connected(request, state.carry_out(task, place))
            if outcome["status"] != 200:
                raise Refusal(outcome["status"], outcome["error"])
            place.state = "answering"
            sent = AnswerFile(outcome, resources.pop_all(), state.limits.seconds)
        return sent


async def _receive(request: Request, asked: Task, folder: Path, limits: Limits) -> Task:
    """What is asked, with the files of the request, which are kept in the folder."""
    received = folder / "in"
    received.mkdir()
    uploads = await receive_files(request, received, limits)
    return replace(
        asked, folder=str(folder), uploads=[(upload.shown, str(upload.path), upload.channel) for upload in uploads]
    )


def _add_runs(app: FastAPI, state: AppState) -> None:
    @app.get("/runs", response_model=list[RunAnswer], responses=refusals())
    def runs() -> list[Record]:
        """Folders with results below the one that the app was started with, the newest first."""
        return list(describe_runs(state.shelf.runs()))

    @app.get("/runs/{key}", include_in_schema=False)
    def run_page(key: str) -> Response:
        address = state.shelf.open_page(key)
        if address is None:
            raise Refusal(404, "no such run, or no page of it")
        return RedirectResponse(address, 307)

    @app.get("/pages/{secret}/{key}/{name:path}", include_in_schema=False)
    def run_file(secret: str, key: str, name: str, request: Request) -> Response:
        path = state.shelf.find_file(secret, key, name)
        if path is None:
            raise Refusal(404, "no such page; open it from the app again")
        origin = f"{request.url.scheme}://{request.url.netloc}"
        policy = (
            f"{SANDBOX}; default-src 'none'; script-src 'unsafe-inline' {origin}; style-src 'unsafe-inline' {origin}; "
            f"img-src data: blob: {origin}; connect-src 'none'; base-uri 'none'; form-action 'none'"
        )
        headers = {"Content-Security-Policy": policy, "Cross-Origin-Resource-Policy": "cross-origin"}
        return FileResponse(path, headers=headers)


async def while_connected(request: Request, work: Coroutine[Any, Any, Record]) -> Record:
    """The outcome of work that is given up where the client goes away."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Refusal(400, "the client went away")
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)
