"""What answers HTTP requests: files of images, as they are or in a form, and JSON as MLflow's."""

import asyncio
import io
import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import pandas as pd
from mlflow.environment_variables import MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc.scoring_server import infer_and_parse_data, predictions_to_json
from mlflow.version import VERSION
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive

from rdad.detector.trained_model import TrainedModel
from rdad.served_model import ServedModel
from rdad.tracking.model_package import signature

MEGABYTE = 1_000_000
JSON, FORM = "application/json", "multipart/form-data"
SIGNATURE = signature()


def application(trained: TrainedModel, *, largest_mb: int) -> Starlette:
    """POST /invocations, and GET /health, /ping and /version, as MLflow's server has them.

    A request that cannot be used gets a status of 4xx and JSON whose `message` is one sentence.
    """
    model = PyFuncModel(Model(signature=SIGNATURE), ServedModel(trained))
    seconds = MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT.get()

    async def invocations(request: Request) -> Response:
        limited = Request(request.scope, _limited(request.receive, largest_mb))
        try:
            async with asyncio.timeout(seconds):
                return Response(await _answer(model, limited), media_type=JSON)
        except MlflowException as error:
            raise HTTPException(error.get_http_status_code(), error.message) from error
        except TimeoutError as error:
            raise HTTPException(504, f"not answered within {seconds} s") from error
        except ClientDisconnect as error:
            raise HTTPException(400, "the request was cut off") from error

    return Starlette(
        routes=[
            Route("/invocations", invocations, methods=["POST"]),
            *(Route(path, lambda _: PlainTextResponse("\n")) for path in ("/health", "/ping")),
            Route("/version", lambda _: PlainTextResponse(VERSION)),
        ],
        exception_handlers={HTTPException: _refused},
    )


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = {"error_code": HTTPStatus(error.status_code).name, "message": error.detail}
    return JSONResponse(said, error.status_code, error.headers)


def _limited(receive: Receive, largest_mb: int) -> Receive:
    """The parts of a request, as long as they are not too much together."""
    left = largest_mb * MEGABYTE

    async def limited() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, f"a request of more than {largest_mb} MB (largest_mb)")
        return message

    return limited


async def _answer(model: PyFuncModel, request: Request) -> str:
    """The predictions, a row for each image."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        return await asyncio.to_thread(_of_json, model, await request.body())
    params = request.query_params.multi_items()
    if kind != FORM:  # curl calls a file a form of another kind, unless it is told
        return await asyncio.to_thread(_of_files, model, [await request.body()], params)
    files: list[bytes] = []
    async with request.form() as form:
        for name, field in form.multi_items():
            if isinstance(field, str):
                params.append((name, field))
            else:
                files.append(await field.read())
    return await asyncio.to_thread(_of_files, model, files, params)


def _of_json(model: PyFuncModel, content: bytes) -> str:
    try:
        body = json.loads(content)
        params = body.pop("params", None)
        images = infer_and_parse_data(body, SIGNATURE.inputs)
    except MlflowException:
        raise
    except Exception as error:  # MLflow's parser meets what it did not expect in many ways
        said = f"no JSON of a request ({type(error).__name__}: {error})"
        raise MlflowException.invalid_parameter_value(said[:300]) from error
    return _predicted(model, images, params)


def _of_files(model: PyFuncModel, files: Sequence[bytes], params: Sequence[tuple[str, str]]) -> str:
    if not files:
        raise MlflowException.invalid_parameter_value(
            "the form has no file; allowed are one or several, as by curl -F image=@photo.jpg"
        )
    allowed = [param.name for param in SIGNATURE.params]
    if unknown := [name for name, _ in params if name not in allowed]:
        said = f"no param {unknown[0]!r}; allowed: {', '.join(allowed)}"
        raise MlflowException.invalid_parameter_value(said)
    images = pd.DataFrame({"image": pd.Series(files, dtype=object)})
    return _predicted(model, images, {name: _value(text) for name, text in params})


def _value(text: str) -> Any:
    """A param in an address or a form: a number, true or false, else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _predicted(model: PyFuncModel, images: Any, params: dict[str, Any] | None) -> str:
    answer = io.StringIO()
    predictions_to_json(model.predict(images, params=params), answer)
    return answer.getvalue()
