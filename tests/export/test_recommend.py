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
from keras_recs.models import ItemEvents, bert4rec, sasrec
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


def make(builder, schema, **options):
    keras.utils.set_random_seed(0)
    model = builder(schema, embedding_dim=6, num_layers=1, seed=0, **options)
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


def last_rows(lists):
    """The last T of each list, padded on the left."""
    rows = np.zeros((len(lists), T), "int32")
    for row, values in zip(rows, lists):
        last = values[-T:]
        row[T - len(last) :] = last
    return rows


def loops(model, numbers, exclude_seen, **told):
    """Items from 0, or −1, their scores and the queries, user by user."""
    rows = last_rows([[2 + n if n >= 0 else 1 for n in h] for h in numbers])
    queries = np.asarray(model.query_model()({model.items_input: rows, **told}))
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


KINDS = ["k0", "k1"]
EVENTS = [  # an item, its kind and how long ago the one before was
    [
        ("m7", "k0", 1),
        ("m b", "k1", 0),
        ("m,a", "new", 4),
        ("é", "k0", 9),
        ("m4", "", 2),
    ],
    [("m5", "k1", -1)],
    [("new", "k0", 3), ("", "k1", 1), ("m6", "", 0), ("new", "new", 2)],
    [("m4", "k1", 3), ("m5", "k1", 2), ("", "", -1)],
    [],
    [("", "k1", 2)],
]


@pytest.mark.parametrize("builder", [sasrec, bert4rec])
def test_further_sequences(builder, ask, signature_defs, tmp_path):
    """What else is known of an event stays beside it, whatever is missing."""
    names = {"movie": NAMES, "a kind": KINDS}
    fitted = {
        name: write_vocabulary(tmp_path / f"{name}.txt", values)
        for name, values in names.items()
    }
    options = {"max_length": T, "padding": "left"}
    features = [
        SequenceFeature("a kind", **options),  # before the items in every order
        SequenceFeature("movie", **options),
        SequenceFeature("gap", vocabulary_size=5, **options),
    ]
    schema = Schema(features, group_key="user", vocabularies=fitted)
    model = make(builder, schema, items=ItemEvents("movie", ["gap", "a kind"]))
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.items_input == "movie"
    rows = {name: {v: 2 + i for i, v in enumerate(names[name])} for name in names}
    events = [[event for event in h if event[0]] for h in EVENTS]
    numbers = [[rows["movie"].get(e[0], 1) - 2 for e in h] for h in events]
    told = {
        "a kind": [
            [rows["a kind"].get(e[1], 1) if e[1] else 0 for e in h] for h in events
        ],
        "gap": [
            [(2 + e[2] if e[2] < 5 else 1) if e[2] >= 0 else 0 for e in h]
            for h in events
        ],
    }
    told = {name: last_rows(lists) for name, lists in told.items()}
    items, scores, queries = loops(model, numbers, True, **told)
    silent = {name: 0 * array for name, array in told.items()}
    assert abs(loops(model, numbers, True, **silent)[2] - queries).max() > 0.1

    path = export.saved_model(model, schema, tmp_path / "export", top_k=K)
    columns = [[[e[i] for e in h] for h in EVENTS] for i in range(3)]
    request = {
        "movie": filled(columns[0], "", object),
        "a kind": filled(columns[1], "", object),
        "gap": filled(columns[2], -1, "int64"),
    }
    # A list may end before the items do, or after them.
    narrow = {**request, "movie": np.pad(request["movie"], ((0, 0), (0, 2)))}
    narrow["movie"][narrow["movie"] == 0] = b""
    records = np.array(
        [
            example({n: v for n, v in zip(("movie", "a kind", "gap"), values) if v})
            for values in zip(*columns)
        ],
        object,
    )
    names = [[NAMES[i].encode() if i >= 0 else b"" for i in row] for row in items]
    for key, asked in (
        ("recommend", request),
        ("serving_default", narrow),
        ("serve_tf_example", {"examples": records}),
    ):
        answer = ask(path, key, asked)
        assert answer["items"].tolist() == names
        near(answer["scores"], scores)
    near(ask(path, "embed_query", request)["embedding"], queries)
    for user in range(len(EVENTS)):  # alone as beside others
        alone = {name: array[user : user + 1] for name, array in request.items()}
        near(ask(path, "embed_query", alone)["embedding"], queries[user : user + 1])
    assert set(signature_defs(path)["recommend"].inputs) == set(request)
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["parity"]["rows"] == 1000
    # A shorter list tells nothing of the events after its end.
    short = {**request, "gap": request["gap"][:, :1]}
    without = told["gap"].copy()
    for user, history in enumerate(EVENTS):
        places = [i for i, event in enumerate(history) if event[0]][-T:]
        for place, at in zip(range(T - len(places), T), places):
            without[user, place] *= at == 0
    queries = loops(model, numbers, True, **{**told, "gap": without})[2]
    near(ask(path, "embed_query", short)["embedding"], queries)


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
    check(r"must read the features of the schema.*'movie', 'more'", schema=other)
    more = Schema([*more_features()])
    events = ItemEvents("movie", ["more"])
    larger = make(sasrec, Schema([*more_features(9)]), items=events)
    check(r"'more': the table of model 'sasrec'.*11 rows.*9 in", larger, more)
    assert not (tmp_path / "export").exists()


def more_features(size=7):
    for name, values in (("movie", 7), ("more", size)):
        yield SequenceFeature(
            name, vocabulary_size=values, max_length=T, padding="left"
        )
