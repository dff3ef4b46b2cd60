"""Each line of the REST contract, asked by a client that is not ours."""

import base64
import gzip
import json
import math
import socket

import pytest
import requests

pytestmark = pytest.mark.serving

MIXED = {"age": 30.0, "clicks": [1, 2], "country": "de"}


@pytest.fixture(scope="module")
def session():
    with requests.Session() as session:
        yield session


@pytest.fixture
def post(served, session):
    def post(path, body=None, **kwargs):
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        return session.post(served.rest + path, data=data, timeout=20, **kwargs)

    return post


@pytest.fixture
def get(served, session):
    return lambda path: session.get(served.rest + path, timeout=20)


@pytest.fixture
def predict(post):
    def predict(signature_name=None, **body):
        if signature_name:
            body["signature_name"] = signature_name
        return post("/v1/models/demo:predict", body)

    return predict


def check_error(response, status, message):
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json().keys() == {"error"}
    assert message in response.json()["error"]


# === Paths ===


@pytest.mark.parametrize("path", ["/", "/v2/models/demo", "/v1", "/metrics"])
def test_other_paths_are_404_in_html(get, path):
    response = get(path)
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/demo:predict"),
        ("POST", "/v1/models/demo"),
        ("POST", "/v1/models:predict"),
        ("POST", "/v1/models/demo:explain"),
        ("POST", "/v1/models/demo/versions/x:predict"),
        ("POST", "/v1/models/demo/versions/1/labels/a:predict"),
        ("GET", "/v1/models/demo/metadata/x"),
        ("GET", "/v1/models/demo/"),
        ("GET", "/v1/nothing"),
        ("PUT", "/v1/models/demo:predict"),
        ("DELETE", "/v1/models/demo"),
    ],
)
def test_malformed_path(served, session, method, path):
    response = session.request(method, served.rest + path, data="{}", timeout=20)
    check_error(response, 400, f"Malformed request: {method} {path}")


def test_path_ignores_case_and_query(post, get):
    body = {"instances": [2.0]}
    assert post("/V1/Models/demo/Versions/2:Predict?x=1", body).status_code == 200
    # The model's name is not part of the grammar.
    check_error(
        get("/v1/models/DEMO"), 404, "Could not find any versions of model DEMO"
    )


def test_model_name_is_url_decoded(get):
    assert get("/v1/models/%64emo").status_code == 200
    check_error(get("/v1/models/a%20b"), 404, "any versions of model a b")


def test_missing_model_name(get):
    check_error(get("/v1/models"), 400, "Missing model name in request.")


def test_version_beyond_int64(post, get):
    for digits in ("9223372036854775808", "1" * 5000):
        path = f"/v1/models/demo/versions/{digits}"
        message = f"Failed to convert version: {digits} to numeric."
        check_error(get(path), 400, message)
        check_error(post(path + ":predict", {"instances": [1.0]}), 400, message)
    check_error(get("/v1/models/demo/versions/9223372036854775807"), 404, "Could not")
    assert get("/v1/models/demo/versions/0002").status_code == 200


# === Which model ===


def test_unknown_model_version_label_signature(post, predict):
    body = {"instances": [1.0]}
    check_error(
        post("/v1/models/m:predict", body),
        404,
        "Servable not found for request: Latest(m)",
    )
    check_error(
        post("/v1/models/demo/versions/7:predict", body),
        404,
        "Servable not found for request: Specific(demo, 7)",
    )
    check_error(
        post("/v1/models/both/labels/x:predict", body),
        400,
        "Unrecognized servable version label: x",
    )
    check_error(
        predict("s", **body),
        400,
        'Serving signature name: "s" not found in signature def',
    )


def test_newest_version_specific_version_and_label(post):
    body = {"instances": [2.0]}
    for path, expected in {
        "/v1/models/demo": 3.0,
        "/v1/models/demo/versions/2": 3.0,
        "/v1/models/both": 3.0,
        "/v1/models/both/versions/1": 2.0,
        "/v1/models/both/labels/stable": 2.0,
        "/v1/models/both/labels/canary": 3.0,
    }.items():
        assert post(f"{path}:predict", body).json() == {"predictions": [expected]}
    # The default policy keeps the newest only.
    check_error(
        post("/v1/models/demo/versions/1:predict", body), 404, "Specific(demo, 1)"
    )


# === Predict ===


def test_rows_and_columns(predict):
    assert predict(instances=[2, 4.0]).json() == {"predictions": [3.0, 4.0]}
    assert predict(instances=[{"x": 2.0}, {"x": 4}]).json() == {
        "predictions": [3.0, 4.0]
    }
    assert predict(inputs=[2.0, 4.0]).json() == {"outputs": [3.0, 4.0]}
    assert predict(inputs={"x": [2.0], "extra": "ignored"}).json() == {"outputs": [3.0]}


def test_several_inputs_and_outputs(predict):
    raw = {"b64": base64.b64encode(b"de").decode()}
    row = {"score": [35.0], "label": "c:de", "raw_bytes": raw}
    assert predict("mixed", instances=[MIXED, MIXED]).json() == {
        "predictions": [row] * 2
    }
    columns = {"age": [30], "clicks": [[1, 2]], "country": [raw]}
    assert predict("mixed", inputs=columns).json() == {
        "outputs": {"score": [[35.0]], "label": ["c:de"], "raw_bytes": [raw]}
    }


def test_single_string_input_takes_bare_base64(predict):
    import tensorflow as tf

    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[5.0]))
    example = tf.train.Example(features=tf.train.Features(feature={"age": feature}))
    encoded = {"b64": base64.b64encode(example.SerializeToString()).decode()}
    for body in (
        {"instances": [encoded]},
        {"instances": [{"examples": encoded}]},
    ):
        assert predict("serve_tf_example", **body).json() == {"predictions": [7.0]}
    for body in ({"inputs": [encoded]}, {"inputs": {"examples": [encoded]}}):
        assert predict("serve_tf_example", **body).json() == {"outputs": [7.0]}


def test_every_type_there_and_back(predict, echo_types):
    values = {
        "float32": [0.2, -1e30, 3.0],
        "float64": [0.1, 1e300, -2.0],
        "int8": [-128, 0, 127],
        "int16": [-(2**15), 0, 2**15 - 1],
        "int32": [-(2**31), 0, 2**31 - 1],
        "int64": [-(2**63), 0, 2**63 - 1],
        "uint8": [0, 1, 255],
        "uint32": [0, 1, 2**32 - 1],
        "uint64": [0, 1, 2**64 - 1],
        "bool": [True, False, True],
        "string": ["", "zwölf\n", "\u0000"],
    }
    assert values.keys() == set(echo_types)
    outputs = predict("echo", inputs=values).json()["outputs"]
    assert outputs == {f"{name}_out": column for name, column in values.items()}
    assert [type(v) for v in outputs["float32_out"]] == [float] * 3


def test_not_a_number_and_infinity(predict):
    # `json.dumps` writes the words that TF Serving reads and writes.
    answer = predict(instances=[math.nan, math.inf, -math.inf])
    assert answer.text == '{"predictions":[NaN,Infinity,-Infinity]}'
    values = answer.json()["predictions"]
    assert math.isnan(values[0]) and values[1:] == [math.inf, -math.inf]


def test_both_or_neither_of_instances_and_inputs(predict):
    check_error(predict(instances=[1.0], inputs=[1.0]), 400, "only one of 'inputs' or")
    check_error(predict(), 400, "Missing 'inputs' or 'instances' key")


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        ([], "No values in 'instances' array"),
        ("x", "Excepting 'instances' to be an list/array"),
        ([1.0, {"x": 1.0}], "Expecting value/list but got object at item 1"),
        ([{"x": 1.0}, 1.0], "Expecting object but got list at item 1"),
        ([{"x": 1.0}, {}], "element: 1 of 'instances' list"),
        ([{"x": 1.0, "z": 1.0}], "does not have named input: z"),
        ([[1.0], [1.0, 2.0]], "element: 1 key: x"),
        ([[1.0], 1.0], "element: 1 key: x"),
        (["1.0"], 'JSON Value: "1.0" Type: String is not of expected type: float'),
        ([True], "Type: True is not of expected type: float"),
        ([1.0, None], "element: 1 key: x"),
        ([{"b64": "AAAA"}], "Type: Object is not of expected type: float"),
        ([1e39], "to float without loss of precision"),
        ([2**24 + 1], "to float without loss of precision"),
    ],
)
def test_rows_that_do_not_fit(predict, instances, message):
    check_error(predict(instances=instances), 400, message)


def test_several_inputs_take_objects_only(predict):
    check_error(predict("mixed", instances=[1.0]), 400, "expecting list of objects")
    check_error(predict("mixed", inputs=[1.0]), 400, "expecting an object")


def test_named_rows_that_do_not_fit(predict):
    missing = {key: MIXED[key] for key in ("age", "country")}
    check_error(
        predict("mixed", instances=[MIXED, missing]),
        400,
        "keys must be equal to: age,clicks,country",
    )
    check_error(predict("mixed", inputs=missing), 400, "Missing named input: clicks")
    for changed in (
        {"clicks": [1.0, 2.0]},
        {"clicks": [1, 2**63]},
        {"clicks": [True, 2]},
        {"country": 1},
        {"country": {"b64": "*"}},
        {"country": {"b64": 1}},
        {"country": {"b64": "AAAA", "x": 1}},
    ):
        response = predict("mixed", instances=[MIXED, {**MIXED, **changed}])
        check_error(response, 400, f"element: 1 key: {next(iter(changed))}")


def test_half_has_no_json(predict):
    check_error(predict("half_in", inputs=[1.0]), 501, "to type: half")
    check_error(predict("half_in", instances=[1.0]), 400, "to type: half")
    check_error(predict("half_out", instances=[1.0]), 400, "Failed to write JSON value")


def test_rows_need_a_batch_dimension_in_the_output(predict):
    check_error(predict("scalar", instances=[1.0]), 400, "has no shape information")
    assert predict("scalar", inputs=[1.0, 2.0]).json() == {"outputs": 3.0}


def test_error_of_the_graph(predict):
    response = predict("serve_tf_example", instances=["not an example"])
    check_error(response, 400, "Could not parse example input")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"{", "JSON Parse error"),
        (b'{"instances": [1.0]} x', "JSON Parse error"),
        (b"[1.0]", "Is not object"),
        (b'{"instances": ["\xff"]}', "JSON Parse error"),
        (b'{"signature_name": 1, "instances": [1.0]}', "must be a string value"),
        (
            b'{"instances": ["\\ud800"], "signature_name": "serve_tf_example"}',
            "surrogate",
        ),
        (b'{"instances": [' + b"9" * 5000 + b"]}", "JSON Parse error"),
    ],
)
def test_body_that_is_no_request(post, body, message):
    check_error(post("/v1/models/demo:predict", body), 400, message)


def test_depth_limit(post):
    for depth, message in ((64, "more than 32 dimensions"), (65, "nested deeper")):
        lists = depth - 1
        body = '{"inputs": ' + "[" * lists + '"x"' + "]" * lists + "}"
        check_error(post("/v1/models/demo:predict", body), 400, message)
    # Brackets inside strings do not nest.
    text = json.dumps(
        {"instances": ['["\\[{' * 100], "signature_name": "serve_tf_example"}
    )
    assert "Could not parse" in post("/v1/models/demo:predict", text).json()["error"]
    check_error(post("/v1/models/demo:predict", "[" * 100_000), 400, "nested deeper")


def test_body_limit(post, served):
    body = '{"instances": [1.0]' + " " * 1_000_000 + "}"
    check_error(post("/v1/models/demo:predict", body), 413, "1000000 bytes")
    packed = gzip.compress(body.encode())
    assert len(packed) < 10_000
    headers = {"Content-Encoding": "gzip"}
    check_error(post("/v1/models/demo:predict", packed, headers=headers), 413, "larger")
    # Chunked: no Content-Length to look at.
    pieces = (b" " * 100_000 for _ in range(11))
    url = served.rest + "/v1/models/demo:predict"
    check_error(requests.post(url, data=pieces, timeout=20), 413, "larger")


def test_gzip_body(post):
    headers = {"Content-Encoding": "gzip"}
    body = gzip.compress(b'{"instances": [2.0]}')
    response = post("/v1/models/demo:predict", body, headers=headers)
    assert response.json() == {"predictions": [3.0]}
    response = post("/v1/models/demo:predict", b"not gzip", headers=headers)
    check_error(response, 400, "could not be read")


# === Classify and Regress ===


@pytest.fixture
def classify(post):
    def ask(method, **body):
        return post(f"/v1/models/demo:{method}", {"signature_name": method, **body})

    return ask


def test_classify_and_regress(classify):
    examples = [{"age": 1.0, "clicks": 2, "country": "de"}, {"age": [4.5]}, {}]
    assert classify("regress", examples=examples).json() == {
        "results": [105.0, 6.5, 2.0]
    }
    assert classify("classify", examples=examples).json() == {
        "results": [[["no", -score], ["yes", score]] for score in (105.0, 6.5, 2.0)]
    }


def test_context_is_merged_and_the_example_wins(classify):
    body = {"context": {"age": 1.0, "clicks": 1}, "examples": [{"age": 5.0}, {}]}
    assert classify("regress", **body).json() == {"results": [8.0, 4.0]}


def test_feature_types(classify):
    encoded = {"b64": base64.b64encode(b"de").decode()}
    examples = [{"country": encoded}, {"clicks": True}, {"clicks": [3]}]
    assert classify("regress", examples=examples).json() == {
        "results": [102.0, 3.0, 5.0]
    }
    # `1` is int64, which the model's float feature refuses.
    check_error(classify("regress", examples=[{"age": 1}]), 400, "age")


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (
            {"age": [1, 1.5]},
            "Unexpected element type in feature: age expecting type: int64",
        ),
        ({"age": [1.5, 1]}, "expecting type: float"),
        ({"age": ["a", 1]}, "expecting type: bytes"),
        ({"age": None}, "unexpected JSON type: Null"),
        ({"age": [1.5, None]}, "unexpected JSON type: Null"),
        ({"age": [[1.0]]}, "unexpected JSON type: Array"),
        ({"age": {"x": 1}}, "unexpected JSON type: Object"),
        ({"clicks": 2**63}, "Only int64 is supported"),
        ({"age": 1e39}, "without loss of precision"),
        (1.0, "Example must be JSON object but got JSON Number"),
    ],
)
def test_examples_that_do_not_fit(classify, example, message):
    check_error(classify("regress", examples=[{}, example]), 400, message)


def test_examples_are_needed(classify):
    check_error(
        classify("regress"), 400, "key 'examples' is expected and was not found"
    )
    check_error(classify("regress", examples={}), 400, "value to be an list/array")
    check_error(classify("regress", examples=[]), 400, "is an empty array")


def test_signature_must_be_of_the_method(classify, post):
    body = {"examples": [{}]}
    for method in ("classify", "regress"):
        check_error(
            classify(method, signature_name="s", **body),
            400,
            "No signature was found with the name: s",
        )
        check_error(
            post(f"/v1/models/demo:{method}", body), 400, "signature method_name to be"
        )


# === Metadata and status ===


def test_metadata(get):
    answer = get("/v1/models/both/versions/1/metadata").json()
    assert answer["model_spec"] == {
        "name": "both",
        "signature_name": "",
        "version": "1",
    }
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures["regress"]["method_name"] == "tensorflow/serving/regress"
    clicks = signatures["mixed"]["inputs"]["clicks"]
    assert clicks["dtype"] == "DT_INT64"
    assert clicks["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}],
        "unknown_rank": False,
    }
    canary = get("/v1/models/both/labels/canary/metadata").json()
    assert canary["model_spec"]["version"] == "2"
    check_error(get("/v1/models/m/metadata"), 404, "Servable not found")


def test_status(get):
    def version(number):
        status = {"error_code": "OK", "error_message": ""}
        return {"version": number, "state": "AVAILABLE", "status": status}

    assert get("/v1/models/demo").json() == {"model_version_status": [version("2")]}
    assert get("/v1/models/both").json() == {
        "model_version_status": [version("2"), version("1")]
    }
    assert get("/v1/models/both/versions/1").json() == {
        "model_version_status": [version("1")]
    }
    # Labels are ignored here, known or not.
    assert len(get("/v1/models/both/labels/x").json()["model_version_status"]) == 2
    check_error(get("/v1/models/m"), 404, "Could not find any versions of model m")
    check_error(
        get("/v1/models/demo/versions/9"), 404, "Could not find version 9 of model demo"
    )


def test_listens_on_loopback_only(served):
    assert served.rest.startswith("http://127.0.0.1:")
    assert served.grpc.startswith("127.0.0.1:")
    port = int(served.rest.rpartition(":")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        # The whole 127/8 block is this machine: another address of it is closed.
        assert probe.connect_ex(("127.0.0.2", port)) != 0
