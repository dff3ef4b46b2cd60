"""What an exported model of sequences recommends, beside loops over the catalogue."""

import json

import keras
import numpy as np
import pytest

from keras_recs import Label, Schema, SequenceFeature, export
from keras_recs.export import next_item_functions as functions_module
from keras_recs.export.next_item_reference import NextItemReference
from keras_recs.export.recommending import Recommending
from keras_recs.export.write_saved_model import write_saved_model
from keras_recs.models import bert4rec, sasrec
from tests.samples import example, write_vocabulary

T, K = 4, 3
NAMES = ["m b", "m,a", "é", "m4", "m5", "m6", "m7"]
# Longer than the model reads, short, with unknown ones, empty, and all but one item.
HISTORIES = [
    ["m7", "m b", "m,a", "é", "m4"],
    ["m5"],
    ["new", "m6", "new"],
    [],
    NAMES[:-1],
]
NOTHING = np.finfo("float32").min


def named_schema(folder):
    feature = SequenceFeature("movie", max_length=T, padding="left")
    fitted = {"movie": write_vocabulary(folder / "movie.txt", NAMES)}
    return Schema([feature], group_key="user", vocabularies=fitted)


def make(builder, schema):
    keras.utils.set_random_seed(0)
    model = builder(schema, embedding_dim=6, num_layers=1, seed=0)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def filled(histories, padding, dtype):
    width = max(map(len, histories))
    rows = [[*h, *[padding] * (width - len(h))] for h in histories]
    if dtype is object:
        rows = [[name.encode() for name in row] for row in rows]
    return np.array(rows, dtype)


def loops(model, numbers, exclude_seen):
    """Items from 0, or −1, their scores and the queries, user by user."""
    rows = np.zeros((len(numbers), T), "int32")
    for row, history in zip(rows, numbers):
        last = [2 + n if n >= 0 else 1 for n in history][-T:]
        row[T - len(last) :] = last
    (name,) = model.input
    queries = np.asarray(model.query_model()({name: rows}))
    vectors, biases = model.item_vectors()
    items, scores = np.full((len(rows), K), -1), np.full((len(rows), K), NOTHING)
    for user, history in enumerate(numbers):
        away = set(history) if exclude_seen else set()
        found = sorted(
            (-float(vectors[i] @ queries[user] + biases[i]), i)
            for i in range(len(vectors))
            if i not in away
        )
        for place, (score, item) in enumerate(found[:K]):
            items[user, place], scores[user, place] = item, -score
    return items, scores, queries


def near(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("named")
    schema = named_schema(folder)
    model = make(sasrec, schema)
    path = export.saved_model(model, schema, folder / "export", top_k=K)
    return model, path


def test_named_items(exported, ask, signature_defs):
    model, path = exported
    numbers = [[NAMES.index(n) if n in NAMES else -1 for n in h] for h in HISTORIES]
    items, scores, queries = loops(model, numbers, True)
    assert (items[-1] == [6, -1, -1]).all(), "all others were seen"
    names = [[NAMES[i].encode() if i >= 0 else b"" for i in row] for row in items]
    records = [example({"movie": h}) for h in HISTORIES]
    requests = {
        "serving_default": {"movie": filled(HISTORIES, "", object)},
        "recommend": {"movie": filled(HISTORIES, "", object)},
        "serve_tf_example": {"examples": np.array(records, object)},
    }
    signatures = signature_defs(path)
    assert set(signatures) == {*requests, "embed_query"}
    for key, request in requests.items():
        answer = ask(path, key, request)
        assert answer["items"].tolist() == names
        near(answer["scores"], scores)
        for tensor in signatures[key].outputs.values():
            assert [d.size for d in tensor.tensor_shape.dim] == [-1, K]
    answer = ask(path, "embed_query", requests["recommend"])
    near(answer["embedding"], queries)


def test_what_the_export_holds(exported):
    _, path = exported
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["parity"]["rows"] == 1000
    differences = manifest["parity"]["largest_differences"]
    assert set(differences["recommend"]) == {"items", "scores"}
    assert set(differences["embed_query"]) == {"embedding"}
    assert [p.name for p in (path / "assets").iterdir()] == ["movie.txt"]
    warmup = (path / "assets.extra" / "tf_serving_warmup_requests").read_bytes()
    assert b"recommend" in warmup and b"embed_query" in warmup


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_integer_items_in_chunks(exclude_seen, ask, tmp_path, monkeypatch):
    """Of a masked model in half precision, which is exported in float32."""
    from keras_recs.export.float32_twin import float32_twin, is_half
    from keras_recs.preprocessing import SchemaPreprocessor

    keras.config.set_dtype_policy("mixed_bfloat16")
    feature = SequenceFeature("item", vocabulary_size=9, max_length=T, padding="left")
    schema = Schema([feature])
    model = make(bert4rec, schema)
    assert is_half(model)
    twin = float32_twin(model)
    assert not is_half(twin)
    # Two items a chunk, and K of them.
    monkeypatch.setattr(functions_module, "_SCORES", 10)
    options = Recommending(K, exclude_seen)
    preprocessor = SchemaPreprocessor(schema)
    write_saved_model(twin, schema, preprocessor, tmp_path, options)
    histories = [[8, 0, 1, 2, 3], [4], [5, 99], [], list(range(8))]
    numbers = [[n if n < 9 else -1 for n in h] for h in histories]
    items, scores, queries = loops(twin, numbers, exclude_seen)
    request = {"item": filled(histories, -1, "int64")}
    answer = ask(tmp_path, "recommend", request)
    assert answer["items"].dtype == np.int64
    np.testing.assert_array_equal(answer["items"], items)
    near(answer["scores"], scores)
    near(ask(tmp_path, "embed_query", request)["embedding"], queries)
    # The check finds items that are wrong, seen or doubled.
    reference = NextItemReference(twin, schema, preprocessor, request, options)
    near(reference.with_nothing(answer["scores"]), reference.outputs["scores"])
    rows_of = slice(0, 5)
    near(reference.scores_of(answer["items"], rows_of), reference.outputs["scores"])
    wrong = answer["items"].copy()
    wrong[1] = [items[1, 0], items[1, 0], 9]
    wrong[0, 0] = 8
    found = reference.scores_of(wrong, rows_of)
    assert np.isnan(found[1]).tolist() == [False, True, True]
    assert np.isnan(found[0, 0]) == exclude_seen


def test_bad_input(tmp_path):
    schema = named_schema(tmp_path)
    model = make(sasrec, schema)

    def check(match, model=model, schema=schema, **options):
        with pytest.raises(ValueError, match=match):
            export.saved_model(model, schema, tmp_path / "export", **options)

    check(r"`top_k` must be a positive.*top_k=0", top_k=0)
    check(r"`top_k` must be at most the number of items, 7.*top_k=8", top_k=8)
    more = SequenceFeature("movie", vocabulary_size=9, max_length=T, padding="left")
    check(r"'movie': the items of model 'sasrec'.*9 rows.*11", schema=Schema([more]))
    hashed = Schema(
        [SequenceFeature("movie", hash_bins=7, max_length=T, padding="left")]
    )
    check(r"gives items by their raw values.*'hash'", make(sasrec, hashed), hashed)
    other = Schema([*more_features()], [Label("y")])
    check(r"must have one input, the one feature.*'movie', 'more'", schema=other)
    assert not (tmp_path / "export").exists()


def more_features():
    for name in ("movie", "more"):
        yield SequenceFeature(name, vocabulary_size=7, max_length=T, padding="left")
