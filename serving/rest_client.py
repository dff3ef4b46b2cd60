"""Transport of `Client` over REST."""

import http.client
import json
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.json_values import from_base64, to_json
from serving.prediction_error import PredictionError


class RestClient:
    """A model behind the REST interface; see `Client` for arguments and methods."""

    def __init__(
        self,
        address: urllib.parse.SplitResult,
        model_name: str,
        version: int | None,
        label: str | None,
        timeout: float,
    ):
        connection = (
            http.client.HTTPSConnection
            if address.scheme == "https"
            else http.client.HTTPConnection
        )
        self._connection = connection(address.netloc, timeout=timeout)
        self._path = f"/v1/models/{urllib.parse.quote(model_name, safe='')}"
        if version is not None:
            self._path += f"/versions/{version}"
        elif label is not None:
            self._path += f"/labels/{urllib.parse.quote(label, safe='')}"
        self._output_names: dict[str, list[str]] = {}

    def predict(
        self, inputs: Mapping[str, Any], signature_name: str
    ) -> dict[str, np.ndarray]:
        """Runs a signature on arrays or nested lists."""
        body = {"inputs": {name: to_json(value) for name, value in inputs.items()}}
        outputs = self._post("predict", body, signature_name)["outputs"]
        names = self._names(signature_name)
        if len(names) == 1:
            outputs = {names[0]: outputs}
        return {name: _to_array(value) for name, value in outputs.items()}

    def classify(
        self, examples: Sequence[Mapping[str, Any]], signature_name: str
    ) -> list[list[tuple[str, float]]]:
        """Returns `(label, score)` pairs per example."""
        body = {"examples": [to_json(example) for example in examples]}
        results = self._post("classify", body, signature_name)["results"]
        return [[(label, score) for label, score in row] for row in results]

    def regress(
        self, examples: Sequence[Mapping[str, Any]], signature_name: str
    ) -> list[float]:
        """Returns a value per example."""
        body = {"examples": [to_json(example) for example in examples]}
        return self._post("regress", body, signature_name)["results"]

    def metadata(self) -> dict[str, Any]:
        """Returns version and signatures."""
        return self._request("GET", "/metadata")

    def status(self) -> list[dict[str, Any]]:
        """Returns the state of each version."""
        return self._request("GET", "")["model_version_status"]

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _names(self, signature_name: str) -> list[str]:
        """Returns the outputs' names: REST leaves out the name of a single one."""
        if signature_name not in self._output_names:
            signatures = self.metadata()["metadata"]["signature_def"]["signature_def"]
            signature = signatures[signature_name or "serving_default"]
            self._output_names[signature_name] = list(signature["outputs"])
        return self._output_names[signature_name]

    def _post(self, method: str, body: dict[str, Any], signature_name: str) -> Any:
        if signature_name:
            body["signature_name"] = signature_name
        return self._request("POST", f":{method}", json.dumps(body))

    def _request(self, method: str, suffix: str, body: str | None = None) -> Any:
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            self._connection.request(method, self._path + suffix, body, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (http.client.HTTPException, OSError):
            # Left half done, it would refuse every further request.
            self._connection.close()
            raise
        try:
            answer = json.loads(content)
        except ValueError:
            answer = {"error": content[:200].decode("utf-8", "replace")}
        if response.status != 200:
            raise PredictionError(str(response.status), answer.get("error", answer))
        return answer


def _to_array(value: Any) -> np.ndarray:
    value = from_base64(value)
    array = np.array(value)
    # NumPy's own strings lose trailing zeros.
    return np.array(value, object) if array.dtype.kind in "SU" else array
