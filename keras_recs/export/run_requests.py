"""Program that answers `FreshProcess`: requests from a file, answers to a file.

`python -m keras_recs.export.run_requests SAVED_MODEL EXCHANGE` reads `requests.json`
and `feeds.npz` in EXCHANGE and writes `fetches.npz`, or `error.txt` with TensorFlow's
message. It does not import TensorFlow.
"""

import json
import sys
from pathlib import Path

from keras_recs.export.cc_session import CcSession
from keras_recs.export.tensor_file import read_tensors, write_tensors


def run_requests(saved_model: str, exchange: str) -> None:
    """Runs every request against a SavedModel.

    Args:
        saved_model: folder of the SavedModel.
        exchange: folder of the requests, and of the answers.

    Raises:
        RuntimeError: if the SavedModel cannot be loaded, or a run fails.
    """
    folder = Path(exchange)
    requests = json.loads((folder / "requests.json").read_text(encoding="utf-8"))
    feeds = iter(read_tensors(folder / "feeds.npz"))
    fetched = []
    with CcSession(saved_model) as session:
        for request in requests:
            arrays = {name: next(feeds) for name in request["feeds"]}
            fetched += session.run(arrays, request["fetches"])
    write_tensors(folder / "fetches.npz", fetched)


if __name__ == "__main__":
    try:
        run_requests(*sys.argv[1:])
    except RuntimeError as error:
        Path(sys.argv[2], "error.txt").write_text(str(error), encoding="utf-8")
        sys.exit(1)
