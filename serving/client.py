r"""Asks a prediction server: ours, or a `tensorflow/serving` container.

  # REST: the columns of the signature's inputs, one element per row.
  python -m serving.client predict --model_name=ctr --inputs='{"age": [31, 45]}'

  # The same over gRPC.
  python -m serving.client predict --server=grpc://localhost:8500 --model_name=ctr \
      --inputs='{"age": [31, 45]}'

  # Examples: {feature: value or list}. 1 becomes int64, 1.0 becomes float.
  python -m serving.client classify --model_name=ctr --signature_name=classify \
      --inputs='[{"age": 31, "country": "de"}]'

  python -m serving.client metadata --model_name=ctr
  python -m serving.client status --model_name=ctr

--inputs=@request.json reads a file.
"""

import json
import pathlib
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import app, flags

from serving.json_values import to_json
from serving.prediction_error import PredictionError


class Client:
    """A model behind TF Serving's REST or gRPC interface.

    The first gRPC client of a process imports TensorFlow, which its protos need; REST
    needs nothing but NumPy. A client is for one thread.

    Args:
        server: str. `http://host:port`, `https://host:port` or `grpc://host:port`.
        model_name: str.
        version: optional int. Defaults to the newest version.
        label: optional str. Label of a version, instead of `version`.
        timeout: float. Seconds to wait for an answer. Defaults to 60.

    Raises:
        ValueError: if `server` is no such address, or both version and label are given.
        PredictionError: by each method, when the server refuses.

    Example:
    >>> client = Client("http://127.0.0.1:8501", "ctr")  # doctest: +SKIP
    >>> client.predict({"age": [31.0]})  # doctest: +SKIP
    {'ctr': array([[0.12]])}
    """

    def __init__(
        self,
        server: str,
        model_name: str,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 60.0,
    ):
        address = urllib.parse.urlsplit(server)
        if address.scheme not in ("http", "https", "grpc") or not address.netloc:
            raise ValueError(
                "`server` must be http://host:port, https://host:port or "
                f"grpc://host:port. Received: server={server!r}"
            )
        if version is not None and label is not None:
            raise ValueError(
                "Give `version` or `label`, not both. Received: "
                f"version={version}, label={label!r}"
            )
        transport = _transport_class(address.scheme)
        self._transport = transport(address, model_name, version, label, timeout)

    def predict(
        self, inputs: Mapping[str, Any], signature_name: str = ""
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            inputs: dict of input name to array or nested lists, a row per element.
            signature_name: str. Defaults to `serving_default`.

        Returns:
            dict of output name to array. Over REST, strings are str (bytes for a name
            ending in `_bytes`) and a single output is named by the metadata.
        """
        return self._transport.predict(inputs, signature_name)

    def classify(
        self, examples: Sequence[Mapping[str, Any]], signature_name: str = ""
    ) -> list[list[tuple[str, float]]]:
        """Returns `(label, score)` pairs per example `{feature: value or list}`."""
        return self._transport.classify(examples, signature_name)

    def regress(
        self, examples: Sequence[Mapping[str, Any]], signature_name: str = ""
    ) -> list[float]:
        """Returns a value for each example `{feature: value or list}`."""
        return self._transport.regress(examples, signature_name)

    def metadata(self) -> dict[str, Any]:
        """Returns version and signatures, as the REST API writes them."""
        return self._transport.metadata()

    def status(self) -> list[dict[str, Any]]:
        """Returns the state of each version."""
        return self._transport.status()

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()


def _transport_class(scheme: str) -> Any:
    if scheme == "grpc":
        from serving.grpc_client import GrpcClient

        return GrpcClient
    from serving.rest_client import RestClient

    return RestClient


def define_flags() -> None:
    """Defines the program's flags; whoever imports `Client` has flags of their own."""
    flags.DEFINE_string(
        "server", "http://127.0.0.1:8501", "http://host:port or grpc://host:port."
    )
    flags.DEFINE_string("model_name", "default", "Name of the model.")
    flags.DEFINE_integer("version", None, "Version; the newest if not given.")
    flags.DEFINE_string("label", None, "Label of a version, instead of --version.")
    flags.DEFINE_string("signature_name", "", "Signature; default serving_default.")
    flags.DEFINE_string("inputs", None, "JSON, or @file.")
    flags.DEFINE_float("timeout", 60.0, "Seconds to wait for an answer.")


def main(argv: list[str]) -> None:
    """Asks once and prints the answer as JSON."""
    options = flags.FLAGS
    methods = ("predict", "classify", "regress", "metadata", "status")
    if len(argv) != 2 or argv[1] not in methods:
        raise app.UsageError(f"Give one of {', '.join(methods)}. Received: {argv[1:]}")
    client = Client(
        options.server,
        options.model_name,
        options.version,
        options.label,
        options.timeout,
    )
    call = getattr(client, argv[1])
    try:
        if argv[1] in ("metadata", "status"):
            answer = call()
        elif options.inputs is None:
            raise app.UsageError(f"{argv[1]} needs --inputs. Received: none")
        else:
            text = options.inputs
            if text.startswith("@"):
                text = pathlib.Path(text[1:]).read_text(encoding="utf-8")
            answer = call(json.loads(text), options.signature_name)
    except PredictionError as error:
        raise SystemExit(str(error)) from error
    except (OSError, ValueError) as error:
        raise SystemExit(f"{options.server}: {error}") from error
    finally:
        client.close()
    print(json.dumps(to_json(answer), indent=2))


if __name__ == "__main__":
    define_flags()
    app.run(main)
