"""A SavedModel run by TensorFlow's C++ loader, without TensorFlow's Python."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p

import numpy as np

# Numbers of `tensorflow.DataType`.
_STRING = 7
_NUMPY_TYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    9: "int64",
    10: "bool",
    17: "uint16",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
_TF_TYPES = {np.dtype(name): number for number, name in _NUMPY_TYPES.items()}
_TSTRING_BYTES = 24  # sizeof(TF_TString), part of TensorFlow's ABI
# ConfigProto {allow_soft_placement: true}, as TF Serving sets it: a model that was
# saved on a GPU also runs without one.
_SESSION_CONFIG = b"\x38\x01"


class _GraphOutput(ctypes.Structure):
    """`TF_Output`: one output of an operation."""

    _fields_ = (("operation", c_void_p), ("index", c_int))


_FUNCTIONS: dict[str, tuple] = {
    "TF_NewStatus": (c_void_p,),
    "TF_DeleteStatus": (None, c_void_p),
    "TF_GetCode": (c_int, c_void_p),
    "TF_Message": (c_char_p, c_void_p),
    "TF_NewGraph": (c_void_p,),
    "TF_DeleteGraph": (None, c_void_p),
    "TF_GraphOperationByName": (c_void_p, c_void_p, c_char_p),
    "TF_NewSessionOptions": (c_void_p,),
    "TF_SetConfig": (None, c_void_p, c_char_p, c_size_t, c_void_p),
    "TF_DeleteSessionOptions": (None, c_void_p),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        c_void_p,  # session options
        c_void_p,  # run options
        c_char_p,  # folder
        POINTER(c_char_p),  # tags
        c_int,
        c_void_p,  # graph
        c_void_p,  # meta graph, returned on demand
        c_void_p,  # status
    ),
    "TF_CloseSession": (None, c_void_p, c_void_p),
    "TF_DeleteSession": (None, c_void_p, c_void_p),
    "TF_SessionRun": (
        None,
        c_void_p,  # session
        c_void_p,  # run options
        POINTER(_GraphOutput),
        POINTER(c_void_p),
        c_int,
        POINTER(_GraphOutput),
        POINTER(c_void_p),
        c_int,
        c_void_p,  # target operations
        c_int,
        c_void_p,  # run metadata
        c_void_p,  # status
    ),
    "TF_AllocateTensor": (c_void_p, c_int, POINTER(c_int64), c_int, c_size_t),
    "TF_DeleteTensor": (None, c_void_p),
    "TF_TensorType": (c_int, c_void_p),
    "TF_NumDims": (c_int, c_void_p),
    "TF_Dim": (c_int64, c_void_p, c_int),
    "TF_TensorByteSize": (c_size_t, c_void_p),
    "TF_TensorData": (c_void_p, c_void_p),
    "TF_StringInit": (None, c_void_p),
    "TF_StringCopy": (None, c_void_p, c_char_p, c_size_t),
    "TF_StringGetDataPointer": (c_void_p, c_void_p),
    "TF_StringGetSize": (c_size_t, c_void_p),
    "TF_StringDealloc": (None, c_void_p),
}


class CcSession:
    """A SavedModel, loaded and run through TensorFlow's C API.

    `TF_LoadSessionFromSavedModel` calls the `LoadSavedModel` that TF Serving links:
    what runs here also loads there. TensorFlow's Python is not imported.

    Args:
        folder: folder of the SavedModel.
        tags: tags of its graph. Defaults to `("serve",)`.

    Raises:
        RuntimeError: with TensorFlow's message, if the model cannot be loaded; or if
            the installed TensorFlow has no C library.

    Example:
    ```python
    with CcSession("export/deepfm/1") as session:
        scores, = session.run(
            {"serve_tf_example_examples:0": np.array([example], object)},
            ["StatefulPartitionedCall_1:0"],
        )
    ```
    """

    def __init__(self, folder: str | os.PathLike, tags: Sequence[str] = ("serve",)):
        self._library = _load_library()
        self._graph = self._library.TF_NewGraph()
        self._session = None
        c_tags = (c_char_p * len(tags))(*[tag.encode() for tag in tags])
        try:
            with self._status() as status, contextlib.ExitStack() as stack:
                options = self._library.TF_NewSessionOptions()
                stack.callback(self._library.TF_DeleteSessionOptions, options)
                size = len(_SESSION_CONFIG)
                self._library.TF_SetConfig(options, _SESSION_CONFIG, size, status)
                self._check(status)
                self._session = self._library.TF_LoadSessionFromSavedModel(
                    options,
                    None,
                    os.fspath(folder).encode(),
                    c_tags,
                    len(tags),
                    self._graph,
                    None,
                    status,
                )
                self._check(status)
        except BaseException:
            self.close()
            raise

    def run(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str]
    ) -> list[np.ndarray]:
        """Runs the graph.

        Args:
            feeds: arrays by tensor name, as a SignatureDef names it (`"x:0"`). Strings
                are object arrays of `bytes`.
            fetches: names of the tensors to compute.

        Returns:
            The fetched tensors as arrays; strings as object arrays of `bytes`.

        Raises:
            KeyError: for a tensor that the graph does not have.
            RuntimeError: with TensorFlow's message, if the run fails; or if the session
                is closed.
            TypeError: for an array or tensor of a type that is not supported.
        """
        if self._session is None:
            raise RuntimeError("The session is closed.")
        library = self._library
        # An output may share the memory of an input, so all live until the end.
        with self._status() as status, contextlib.ExitStack() as stack:
            tensors = [self._tensor(value, stack) for value in feeds.values()]
            results = (c_void_p * len(fetches))()
            library.TF_SessionRun(
                self._session,
                None,
                self._graph_outputs(feeds),
                (c_void_p * len(tensors))(*tensors),
                len(tensors),
                self._graph_outputs(fetches),
                results,
                len(fetches),
                None,
                0,
                None,
                status,
            )
            for result in results:
                if result:
                    stack.callback(library.TF_DeleteTensor, result)
            self._check(status)
            return [self._array(result) for result in results]

    def close(self) -> None:
        """Frees the model. A second call does nothing."""
        if self._session is not None:
            with self._status() as status:
                self._library.TF_CloseSession(self._session, status)
                self._library.TF_DeleteSession(self._session, status)
            self._session = None
        if self._graph is not None:
            self._library.TF_DeleteGraph(self._graph)
            self._graph = None

    def __enter__(self) -> CcSession:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    @contextlib.contextmanager
    def _status(self):
        status = self._library.TF_NewStatus()
        try:
            yield status
        finally:
            self._library.TF_DeleteStatus(status)

    def _check(self, status) -> None:
        code = self._library.TF_GetCode(status)
        if code:
            message = self._library.TF_Message(status).decode("utf-8", "replace")
            raise RuntimeError(f"TensorFlow failed with code {code}: {message}")

    def _graph_outputs(self, names):
        outputs = (_GraphOutput * len(names))()
        for output, name in zip(outputs, names, strict=True):
            operation, _, index = name.partition(":")
            pointer = self._library.TF_GraphOperationByName(
                self._graph, operation.encode()
            )
            if not pointer:
                raise KeyError(f"The graph has no tensor '{name}'.")
            output.operation = pointer
            output.index = int(index or 0)
        return outputs

    def _tensor(self, array, stack: contextlib.ExitStack) -> int:
        """A new `TF_Tensor` that the stack frees."""
        library = self._library
        array = np.asarray(array)
        is_string = array.dtype == object
        if not is_string and array.dtype not in _TF_TYPES:
            raise TypeError(
                "Arrays must hold numbers, booleans or, with dtype object, bytes. "
                f"Received: dtype={array.dtype}"
            )
        size = array.size * _TSTRING_BYTES if is_string else array.nbytes
        tensor = library.TF_AllocateTensor(
            _STRING if is_string else _TF_TYPES[array.dtype],
            (c_int64 * array.ndim)(*array.shape),
            array.ndim,
            size,
        )
        stack.callback(library.TF_DeleteTensor, tensor)
        data = library.TF_TensorData(tensor)
        if not is_string:
            ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, size)
            return tensor
        for number, value in enumerate(array.ravel().tolist()):
            address = data + number * _TSTRING_BYTES
            library.TF_StringInit(address)
            # A tensor does not free what its strings hold.
            stack.callback(library.TF_StringDealloc, address)
            library.TF_StringCopy(address, value, len(value))
        return tensor

    def _array(self, tensor) -> np.ndarray:
        library = self._library
        shape = [library.TF_Dim(tensor, i) for i in range(library.TF_NumDims(tensor))]
        number = library.TF_TensorType(tensor)
        data = library.TF_TensorData(tensor)
        if number == _STRING:
            values = np.empty(shape, object)
            flat = values.reshape(-1)
            for i in range(flat.size):
                address = data + i * _TSTRING_BYTES
                flat[i] = ctypes.string_at(
                    library.TF_StringGetDataPointer(address),
                    library.TF_StringGetSize(address),
                )
            return values
        if number not in _NUMPY_TYPES:
            raise TypeError(f"Tensors of DataType {number} have no NumPy array.")
        array = np.empty(shape, _NUMPY_TYPES[number])
        ctypes.memmove(array.ctypes.data, data, library.TF_TensorByteSize(tensor))
        return array


def _load_library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("TensorFlow is not installed: `pip install tensorflow`.")
    name = "libtensorflow_cc.so.2"
    if sys.platform == "darwin":
        name = "libtensorflow_cc.2.dylib"
    path = os.path.join(spec.submodule_search_locations[0], name)
    if not os.path.exists(path):
        raise RuntimeError(
            f"{path} is missing. TensorFlow for Linux and macOS comes with this "
            "library, TensorFlow for Windows does not: export under WSL there."
        )
    library = ctypes.CDLL(path)
    for function, (result, *arguments) in _FUNCTIONS.items():
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    return library
