"""The bodies of REST Predict: rows or columns of tensors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from grpc import StatusCode

from serving.errors import ServingError
from serving.json_body import show
from serving.json_output import dump, output_lists
from serving.json_tensor import is_base64, json_to_array
from serving.servable import TensorSpec


def predict_inputs(
    body: Mapping[str, Any], specs: Mapping[str, TensorSpec]
) -> tuple[dict[str, np.ndarray], bool]:
    """Returns the tensors of a Predict body.

    Args:
        body: holds either `instances` (rows) or `inputs` (columns).
        specs: dict of input name to its spec.

    Returns:
        dict of input name to array, and whether the body came in rows.

    Raises:
        ServingError: if the body does not fit the signature; the message names the
            row and the input.
    """
    if not specs:
        raise ServingError.invalid_argument("Failed to get input map for signature")
    if "instances" in body and "inputs" in body:
        raise ServingError.invalid_argument(
            f"JSON Value: {show(body)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if "instances" in body:
        return _rows(body["instances"], specs), True
    if "inputs" in body:
        return _columns(body["inputs"], specs), False
    raise ServingError.invalid_argument("Missing 'inputs' or 'instances' key")


def predict_json(outputs: Mapping[str, np.ndarray], rows: bool) -> bytes:
    """Returns the body that answers a Predict request.

    Args:
        outputs: dict of output name to array. A single output goes without its name;
            strings of a name that ends in `_bytes` are written as `{"b64": "…"}`.
        rows: bool. Answer `predictions`, an element per row, instead of `outputs`.

    Raises:
        ServingError: if a type has no JSON form, or, for rows, the outputs do not
            share their first dimension.
    """
    if not outputs:
        raise ServingError.invalid_argument("Cannot convert empty tensor map to JSON")
    if rows:
        _check_batch(outputs)
    lists = {name: output_lists(name, array) for name, array in outputs.items()}
    if not rows:
        return dump(
            {"outputs": lists if len(lists) > 1 else next(iter(lists.values()))}
        )
    if len(lists) == 1:
        return dump({"predictions": next(iter(lists.values()))})
    columns = zip(*lists.values(), strict=True)
    return dump(
        {"predictions": [dict(zip(lists, row, strict=True)) for row in columns]}
    )


# === Requests ===


def _rows(rows: Any, specs: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
    if type(rows) is not list:
        raise ServingError.invalid_argument(
            f"JSON Value: {show(rows)} Excepting 'instances' to be an list/array"
        )
    if not rows:
        raise ServingError.invalid_argument(
            "JSON Value: {\"instances\": []} No values in 'instances' array"
        )
    if type(rows[0]) is not dict and len(specs) > 1:
        raise ServingError.invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    if _is_named(rows[0]):
        _check_named_rows(rows, specs)
        columns = {name: [row[name] for row in rows] for name in specs}
    else:
        _check_bare_rows(rows)
        columns = {next(iter(specs)): rows}
    arrays = {}
    for name, column in columns.items():
        try:
            arrays[name] = json_to_array(column, specs[name].data_type)
        except ServingError as error:
            raise _blame_row(column, name, specs[name].data_type, error) from error
    return arrays


def _columns(value: Any, specs: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
    if not _is_named(value):
        if len(specs) > 1:
            raise ServingError.invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        value = {next(iter(specs)): value}
    arrays = {}
    for name, spec in specs.items():
        if name not in value:
            raise ServingError.invalid_argument(
                f"Missing named input: {name} in 'inputs' object."
            )
        arrays[name] = json_to_array(value[name], spec.data_type)
    return arrays


def _is_named(value: Any) -> bool:
    return type(value) is dict and not is_base64(value)


def _check_named_rows(rows: list[Any], specs: Mapping[str, TensorSpec]) -> None:
    names = specs.keys()
    for position, row in enumerate(rows):
        if type(row) is dict and row.keys() == names:
            continue
        if not _is_named(row):
            raise ServingError.invalid_argument(
                f"Expecting object but got list at item {position} of input list"
            )
        for name in row:
            if name not in names:
                raise ServingError.invalid_argument(
                    f"Failed to process element: {position} key: {name} of 'instances' "
                    "list. Error: INVALID_ARGUMENT: JSON object: does not have named "
                    f"input: {name}"
                )
        raise ServingError.invalid_argument(
            f"Failed to process element: {position} of 'instances' list. JSON object: "
            f"{show(row)} keys must be equal to: {','.join(names)}"
        )


def _check_bare_rows(rows: list[Any]) -> None:
    for position, row in enumerate(rows):
        if _is_named(row):
            raise ServingError.invalid_argument(
                f"Expecting value/list but got object at item {position} of input list"
            )


def _blame_row(
    column: list[Any], name: str, data_type: int, error: ServingError
) -> ServingError:
    """Returns `error` with the first row that causes it."""
    shape: tuple[int, ...] | None = None
    for position, value in enumerate(column):
        message = ""
        try:
            array = json_to_array(value, data_type)
            shape = array.shape if shape is None else shape
            if array.shape != shape:
                message = f"Expecting shape {list(shape)} but got: {list(array.shape)}"
        except ServingError as row_error:
            message = row_error.message
        if message:
            return ServingError(
                StatusCode.INVALID_ARGUMENT,
                f"Failed to process element: {position} key: {name} of 'instances' "
                f"list. Error: {error.code.name}: {message}",
            )
    return error


# === Responses ===


def _check_batch(outputs: Mapping[str, np.ndarray]) -> None:
    batch = None
    for name, array in outputs.items():
        if not array.ndim:
            raise ServingError.invalid_argument(
                f"Tensor name: {name} has no shape information "
            )
        batch = len(array) if batch is None else batch
        if len(array) != batch:
            raise ServingError.invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} "
                f"expecting: {batch}"
            )
