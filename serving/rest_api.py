"""The REST interface, on aiohttp."""

import re
import urllib.parse
from collections.abc import Callable
from typing import Any

from absl import logging
from aiohttp import web

from serving.classify import classify_examples
from serving.errors import ServingError
from serving.json_body import parse_body, signature_name
from serving.json_example import classify_json, json_examples, regress_json
from serving.json_output import dump
from serving.json_predict import predict_inputs, predict_json
from serving.model_info import metadata_json, status_json
from serving.model_manager import ModelManager
from serving.predict import DEFAULT_SIGNATURE, predict_arrays
from serving.regress import regress_examples
from serving.request_pool import RequestPool
from serving.servable import Servable

_MODEL = r"/v1/models(?:/([^/:]+))?(?:/versions/(\d+)|/labels/([^/:]+))?"
_GET = re.compile(_MODEL + r"(/metadata)?", re.IGNORECASE | re.ASCII)
_POST = re.compile(_MODEL + r":(classify|regress|predict)", re.IGNORECASE | re.ASCII)
_NOT_FOUND = (
    "<html><head><title>404 Not Found</title></head>"
    "<body><h1>Not Found</h1></body></html>"
)
_MAX_INT64 = 2**63 - 1


class RestApi:
    """Answers HTTP requests as TF Serving's REST API does.

    Args:
        manager: the loaded models.
        pool: where requests are computed.
        max_body_bytes: int. Larger bodies, after decompression, get 413.
        timeout: optional float. Seconds until a request gets 504.
        drain_seconds: float. How long `stop` waits for running requests. Defaults to
            30.
    """

    def __init__(
        self,
        manager: ModelManager,
        pool: RequestPool,
        max_body_bytes: int,
        timeout: float | None = None,
        drain_seconds: float = 30.0,
    ):
        self._manager = manager
        self._pool = pool
        self._max_body_bytes = max_body_bytes
        self._timeout = timeout
        self._drain_seconds = drain_seconds
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens on `host:port` and returns the port; 0 takes any free one."""
        # aiohttp's plain server: the grammar below is its only route. gzip and
        # deflate bodies are decompressed before they are read.
        server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=self._drain_seconds)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Refuses new connections and waits for running requests."""
        if self._runner:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        if path[:4].lower() != "/v1/":
            return web.Response(status=404, text=_NOT_FOUND, content_type="text/html")
        try:
            body = await self._answer(request, path)
            return web.Response(body=body, content_type="application/json")
        except _UnreadBody as error:
            response = _error(error.status, str(error))
            # What is left of the body would be taken for the next request.
            response.force_close()
            return response
        except ServingError as error:
            return _error(error.http_status, error.message)
        except Exception as error:
            failure = ServingError.of(error)
            return _error(failure.http_status, failure.message)

    async def _answer(self, request: web.BaseRequest, path: str) -> bytes:
        pattern = {"GET": _GET, "POST": _POST}.get(request.method)
        match = pattern.fullmatch(path) if pattern else None
        if match is None or (request.method == "POST" and not match[1]):
            raise ServingError.invalid_argument(
                f"Malformed request: {request.method} {path}"
            )
        name = urllib.parse.unquote(match[1] or "")
        version = _version(match[2])
        label = urllib.parse.unquote(match[3]) if match[3] else None
        if request.method == "POST":
            method = _METHODS[match[4].lower()]
            body = await self._read(request)
            work: Any = (self._post, method, name, version, label, body)
        elif not name:
            raise ServingError.invalid_argument("Missing model name in request.")
        elif match[4]:
            work = (self._metadata, name, version, label)
        else:
            return status_json(self._manager.status(name, version))
        return await self._pool.run(*work, timeout=self._timeout)

    async def _read(self, request: web.BaseRequest) -> bytes:
        too_large = _UnreadBody(
            413, f"The request body is larger than {self._max_body_bytes} bytes."
        )
        if (request.content_length or 0) > self._max_body_bytes:
            raise too_large
        chunks = []
        size = 0
        try:
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > self._max_body_bytes:
                    raise too_large
                chunks.append(chunk)
        except web.RequestPayloadError as error:
            raise _UnreadBody(
                400, f"The request body could not be read: {error}"
            ) from error
        return b"".join(chunks)

    # === In a thread of the pool ===

    def _post(
        self,
        method: Callable[[Servable, dict[str, Any]], bytes],
        name: str,
        version: int | None,
        label: str | None,
        body: bytes,
    ) -> bytes:
        parsed = parse_body(body)
        with self._manager.lease(name, version, label) as servable:
            return method(servable, parsed)

    def _metadata(self, name: str, version: int | None, label: str | None) -> bytes:
        with self._manager.lease(name, version, label) as servable:
            return metadata_json(servable)


class _UnreadBody(Exception):
    """A body that was not read to its end; 413 has no canonical code."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def _predict(servable: Servable, body: dict[str, Any]) -> bytes:
    key = signature_name(body) or DEFAULT_SIGNATURE
    signature = servable.signatures.get(key)
    if signature is None:
        raise ServingError.invalid_argument(
            f'Serving signature name: "{key}" not found in signature def'
        )
    inputs, rows = predict_inputs(body, signature.inputs)
    return predict_json(predict_arrays(servable, signature, inputs), rows)


def _classify(servable: Servable, body: dict[str, Any]) -> bytes:
    key = signature_name(body) or DEFAULT_SIGNATURE
    examples = json_examples(body, "classify")
    return classify_json(*classify_examples(servable, key, examples))


def _regress(servable: Servable, body: dict[str, Any]) -> bytes:
    key = signature_name(body) or DEFAULT_SIGNATURE
    examples = json_examples(body, "regress")
    return regress_json(regress_examples(servable, key, examples))


_METHODS = {"predict": _predict, "classify": _classify, "regress": _regress}


def _version(digits: str | None) -> int | None:
    if digits is None:
        return None
    # Counted first: Python refuses to convert numbers of thousands of digits.
    if len(digits.lstrip("0")) > 19 or int(digits) > _MAX_INT64:
        raise ServingError.invalid_argument(
            f"Failed to convert version: {digits} to numeric."
        )
    return int(digits)


def _error(status: int, message: str) -> web.Response:
    logging.vlog(1, "HTTP %d: %s", status, message)
    return web.Response(
        status=status, body=dump({"error": message}), content_type="application/json"
    )
