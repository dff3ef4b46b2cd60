"""Metadata and status of models, as protos and as their JSON."""

from collections.abc import Sequence
from typing import Any

from google.protobuf import json_format
from grpc import StatusCode
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving.errors import ServingError
from serving.json_output import dump
from serving.model_manager import VersionStatus
from serving.servable import Servable

SIGNATURE_DEF = "signature_def"


def metadata_response(
    servable: Servable, fields: Sequence[str] = (SIGNATURE_DEF,)
) -> Any:
    """Returns the `GetModelMetadataResponse` of a loaded version.

    Raises:
        ServingError: if `fields` is empty or asks for more than `signature_def`.
    """
    if not fields:
        raise ServingError.invalid_argument(
            "GetModelMetadataRequest must specify at least one metadata_field"
        )
    for field in fields:
        if field != SIGNATURE_DEF:
            raise ServingError.invalid_argument(
                f"Metadata field {field} is not supported"
            )
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    response.metadata[SIGNATURE_DEF].Pack(_signature_def_map(servable))
    return response


def metadata_json(servable: Servable) -> bytes:
    """Returns the body that answers `GET …/metadata`."""
    response = metadata_response(servable)
    return dump(
        {
            "model_spec": _to_dict(response.model_spec),
            "metadata": {SIGNATURE_DEF: _to_dict(_signature_def_map(servable))},
        }
    )


def status_response(statuses: Sequence[VersionStatus]) -> Any:
    """Returns states of versions as `GetModelStatusResponse`."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for status in statuses:
        error = status.error
        code = error.code if error else StatusCode.OK
        response.model_version_status.add(
            version=status.version,
            state=status.state,
            status={
                "error_code": code.value[0],
                "error_message": error.message if error else "",
            },
        )
    return response


def status_json(statuses: Sequence[VersionStatus]) -> bytes:
    """Returns the body that answers `GET /v1/models/{name}`."""
    return dump(_to_dict(status_response(statuses)))


def _signature_def_map(servable: Servable) -> Any:
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, signature_def in servable.signature_defs.items():
        signatures.signature_def[key].CopyFrom(signature_def)
    return signatures


def _to_dict(message: Any) -> dict[str, Any]:
    try:
        return json_format.MessageToDict(
            message,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
    except TypeError:
        # The argument's name before protobuf 5, which TensorFlow 2.16 needs.
        return json_format.MessageToDict(
            message,
            preserving_proto_field_name=True,
            including_default_value_fields=True,
        )
