"""One loaded version of a SavedModel."""

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Graph tensor behind one name of a signature.

    Args:
        tensor_name: str. Name in the graph, as `serving_default_age:0`.
        data_type: int. Value of `tensorflow.DataType`.
    """

    tensor_name: str
    data_type: int


@dataclasses.dataclass(frozen=True)
class Signature:
    """A `SignatureDef` in the form that the request path reads.

    Args:
        method_name: str. `PREDICT`, `CLASSIFY` or `REGRESS`.
        inputs: dict of input name to `TensorSpec`.
        outputs: dict of output name to `TensorSpec`.
        defaults: dict of input name to array, for inputs that may be left out.
    """

    method_name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    defaults: Mapping[str, np.ndarray]


class Servable:
    """One version of a model, ready to run from any thread.

    The graph runs in a `tf.compat.v1.Session`, as in TF Serving: its signatures keep
    their method names (classify and regress need them), it takes and returns NumPy
    arrays without eager tensors in between, and it holds no Python lock while it
    computes.

    Args:
        name: str. Name of the model.
        version: int. Version number.
        path: str. The version's folder, which holds `saved_model.pb`.
        session_config: optional `tf.compat.v1.ConfigProto`.

    Raises:
        OSError: if the folder holds no SavedModel.
        tf.errors.OpError: if the SavedModel cannot be restored.
    """

    def __init__(
        self,
        name: str,
        version: int,
        path: str | os.PathLike[str],
        session_config: Any = None,
    ):
        import tensorflow as tf

        self.name = name
        self.version = version
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=session_config)
        try:
            with graph.as_default():
                meta_graph = tf.compat.v1.saved_model.loader.load(
                    self._session, [tf.saved_model.SERVING], os.fspath(path)
                )
        except BaseException:
            self._session.close()
            raise
        self.signature_defs = dict(meta_graph.signature_def)
        self.signatures = {
            key: _read_signature(signature_def)
            for key, signature_def in self.signature_defs.items()
        }
        # Clients choose the fetches by `output_filter`, hence the bound.
        self._callable = functools.lru_cache(maxsize=128)(self._make_callable)

    def run(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Runs the graph once.

        Args:
            feeds: dict of graph tensor name to array; strings as object arrays of
                bytes.
            fetches: graph tensor names.

        Returns:
            dict of graph tensor name to array.

        Raises:
            tf.errors.OpError: what the graph raised.
        """
        unique = tuple(dict.fromkeys(fetches))
        run = self._callable(tuple(feeds), unique)
        return dict(zip(unique, run(*feeds.values()), strict=True))

    def close(self) -> None:
        """Frees the session; no request may be running."""
        self._callable.cache_clear()
        self._session.close()

    def _make_callable(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Any:
        from tensorflow.core.protobuf import config_pb2

        options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
        # The public `Session.make_callable` ends in `Session.run` as soon as there
        # are feeds, which checks every feed in Python: ten times the overhead with 39
        # inputs. This method is the C++ `Session::MakeCallable` that it wraps.
        return self._session._make_callable_from_options(options)


def _read_signature(signature_def: Any) -> Signature:
    from serving.tensor_proto import decode

    def specs(infos: Mapping[str, Any]) -> dict[str, TensorSpec]:
        return {
            key: TensorSpec(infos[key].name, infos[key].dtype) for key in sorted(infos)
        }

    # `defaults` came with TensorFlow 2.17.
    defaults = getattr(signature_def, "defaults", {})
    return Signature(
        method_name=signature_def.method_name,
        inputs=specs(signature_def.inputs),
        outputs=specs(signature_def.outputs),
        defaults={key: decode(value) for key, value in defaults.items()},
    )
