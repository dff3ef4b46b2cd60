"""The gRPC interface, on grpc.aio and the stubs of tensorflow-serving-api."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from absl import logging
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.classify import classify
from serving.errors import ServingError
from serving.model_config import model_configs
from serving.model_info import metadata_response, status_response
from serving.model_manager import ModelManager
from serving.multi_inference import multi_inference
from serving.predict import predict
from serving.regress import regress
from serving.request_pool import RequestPool
from serving.servable import Servable


class GrpcService:
    """Answers gRPC requests as TF Serving's PredictionService and ModelService do.

    Args:
        manager: the loaded models.
        pool: where requests are computed.
        max_message_bytes: int. Larger requests get RESOURCE_EXHAUSTED.
        drain_seconds: float. How long `stop` waits for running requests. Defaults to
            30.
    """

    def __init__(
        self,
        manager: ModelManager,
        pool: RequestPool,
        max_message_bytes: int,
        drain_seconds: float = 30.0,
    ):
        self._manager = manager
        self._pool = pool
        self._max_message_bytes = max_message_bytes
        self._drain_seconds = drain_seconds
        self._server: grpc.aio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens on `host:port` and returns the port; 0 takes any free one.

        Raises:
            RuntimeError: if the port is taken.
        """
        options = [
            ("grpc.max_receive_message_length", self._max_message_bytes),
            ("grpc.max_send_message_length", -1),
            # Otherwise a second server would silently share the port.
            ("grpc.so_reuseport", 0),
        ]
        server = grpc.aio.server(options=options)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            _PredictionService(self._manager, self._pool), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            _ModelService(self._manager), server
        )
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        bound = server.add_insecure_port(address)
        await server.start()
        self._server = server
        return int(bound)

    async def stop(self) -> None:
        """Refuses new requests and waits for running ones."""
        if self._server:
            await self._server.stop(self._drain_seconds)


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, manager: ModelManager, pool: RequestPool):
        self._manager = manager
        self._pool = pool

    async def Predict(self, request: Any, context: Any) -> Any:
        return await self._run(predict, request, request, context)

    async def Classify(self, request: Any, context: Any) -> Any:
        return await self._run(classify, request, request, context)

    async def Regress(self, request: Any, context: Any) -> Any:
        return await self._run(regress, request, request, context)

    async def MultiInference(self, request: Any, context: Any) -> Any:
        # All tasks name one model, which `multi_inference` checks.
        owner = request.tasks[0] if request.tasks else request
        return await self._run(multi_inference, owner, request, context)

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:
        return await self._run(_metadata, request, request, context)

    async def _run(
        self,
        method: Callable[[Servable, Any], Any],
        owner: Any,
        request: Any,
        context: Any,
    ) -> Any:
        try:
            spec = _model_spec(owner)
            return await self._pool.run(self._leased, method, spec, request)
        except ServingError as error:
            await _abort(context, error)

    def _leased(
        self, method: Callable[[Servable, Any], Any], spec: Sequence[Any], request: Any
    ) -> Any:
        with self._manager.lease(*spec) as servable:
            return method(servable, request)


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, manager: ModelManager):
        self._manager = manager

    async def GetModelStatus(self, request: Any, context: Any) -> Any:
        try:
            name, version, _ = _model_spec(request)
            return status_response(self._manager.status(name, version))
        except ServingError as error:
            await _abort(context, error)

    async def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:
        response = model_management_pb2.ReloadConfigResponse()
        try:
            if request.config.WhichOneof("config") is None:
                raise ServingError.invalid_argument("`config` is empty.")
            configs = model_configs(request.config)
            # A thread of its own: loading takes long, and requests go on meanwhile.
            await asyncio.to_thread(self._manager.configure, configs)
        except Exception as error:
            await _abort(context, ServingError.of(error))
        response.status.error_code = 0
        return response


def _metadata(servable: Servable, request: Any) -> Any:
    return metadata_response(servable, request.metadata_field)


def _model_spec(message: Any) -> tuple[str, int | None, str | None]:
    """Returns name, version and label of a request's `ModelSpec`."""
    if not message.DESCRIPTOR.fields_by_name.get("model_spec") or not message.HasField(
        "model_spec"
    ):
        raise ServingError.invalid_argument("Missing ModelSpec")
    spec = message.model_spec
    choice = spec.WhichOneof("version_choice")
    return (
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


async def _abort(context: Any, error: ServingError) -> None:
    logging.vlog(1, "gRPC %s: %s", error.code.name, error.message)
    await context.abort(error.code, error.message)
