"""S3-Rec against loops: its objectives, its stages and what they hand on."""

import math

import keras
import numpy as np
import pytest

from keras_recs import Schema, SequenceFeature
from keras_recs.data import (
    UniformSampler,
    contrastive_batches,
    s3rec_batches,
    similar_items,
)
from keras_recs.models import (
    ContrastiveItemModel,
    S3RecPretraining,
    s3rec,
)
from keras_recs.training import copy_weights
from tests.layers.sequence.attention_twin import block, dense, normed

T, V, D, A = 5, 7, 6, 4
FEATURE = SequenceFeature("items", vocabulary_size=V, max_length=T, padding="left")
SCHEMA = Schema([FEATURE], [])
ATTRIBUTES = np.zeros((2 + V, 3), "int32")
ATTRIBUTES[2:7] = [[1, 0, 0], [2, 1, 4], [3, 0, 0], [1, 3, 0], [4, 2, 0]]
ATTRIBUTES[8, 0] = 3  # of row 7 none are known
SEQUENCES = [2 + (np.arange(n) * 2 + n) % V for n in (2, 6, 4, 5, 3, 6)]


def make(stage="pretrain", seed=0, **options):
    keras.utils.set_random_seed(seed)
    options = {"embedding_dim": D, "dropout": 0.0, **options}
    if stage != "finetune":
        options["attributes"] = ATTRIBUTES
    model = s3rec(SCHEMA, stage=stage, **options)
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape, scale=0.5))
    return model


def batch_of(size=6):
    batches = s3rec_batches(
        SEQUENCES, T, size, UniformSampler(V), mask_rate=0.4, each_place=False
    )
    return batches[0]


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def part(layer):
    """Weights of a layer by the path in there."""
    return {
        w.path.rpartition(f"{layer.name}/")[2]: np.asarray(w, "float64")
        for w in layer.weights
    }


def table_of(model):
    return part(model.get_layer("items"))["tables/embeddings"]


def twin(model, rows, sees):
    (positions,) = part(model.get_layer("positions")).values()
    mask = rows != 0
    x = np.zeros((*rows.shape, D))
    for b, t in zip(*np.nonzero(mask)):
        x[b, t] = table_of(model)[rows[b, t]] + positions[t]
    norm = part(model.get_layer("norm"))
    x = normed(x, norm["gamma"], norm["beta"], 1e-6)
    for i in range(2):
        own = part(model.get_layer(f"block_{i}"))
        x = block(own, x, mask, "post", 2, sees, gelu)
    return x


def states_of(model, rows):
    return np.asarray(model({"items": rows}, training=False)["states"])


@pytest.mark.parametrize(("stage", "sees"), [("pretrain", "all"), ("finetune", "past")])
def test_states_as_loops(stage, sees):
    model, (x, _) = make(stage), batch_of()
    there = x["items"] != 0
    found, expected = states_of(model, x["items"]), twin(model, x["items"], sees)
    np.testing.assert_allclose(found[there], expected[there], rtol=1e-4, atol=1e-4)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def objectives(model, x, y, form):
    """The four sums, an example and a place and an attribute at a time."""
    rows, table = x["items"], table_of(model)
    states = twin(model, rows, "all")
    heads = dict(zip(("aap", "mip", "map", "sp"), map(part, model.projections)))
    vectors = part(model.attribute_vectors)["tables/embeddings"]

    def project(name, state):
        return dense(state, heads[name]["kernel"], heads[name]["bias"])

    def of_attributes(asked, item):
        own, loss = set(ATTRIBUTES[item].tolist()) - {0}, 0.0
        for a in range(1, A + 1) if own else ():
            p = sigmoid(asked @ vectors[a])
            loss -= np.log(p if a in own else 1 - p)
        return loss

    def of_pair(right, wrong):
        if form == "authors":
            right, wrong = sigmoid(right), sigmoid(wrong)
        return -np.log(sigmoid(right - wrong))

    found = dict.fromkeys(heads, 0.0)
    for b, t in zip(*np.nonzero(rows)):
        item, state = rows[b, t], states[b, t]
        if item == 1:
            item = y["masked_items"][b, t]
            found["map"] += of_attributes(project("map", state), item)
            asked = project("mip", state)
            right, wrong = table[item], table[y["negatives"][b, t]]
            found["mip"] += of_pair(asked @ right, asked @ wrong)
        else:
            asked = project("aap", state if form == "authors" else table[item])
            found["aap"] += of_attributes(asked, item)
    context, own, other = (
        twin(model, y[name], "all")[:, -1]
        for name in ("masked_segment", "segment", "other_segment")
    )
    for b in range(len(rows)):
        asked = project("sp", context[b])
        found["sp"] += of_pair(asked @ own[b], asked @ other[b])
    return found


@pytest.mark.parametrize("form", ["paper", "authors"])
def test_objectives_as_loops(form):
    model = make(objective={"form": form, "weights": (2.0, 3.0, 5.0, 7.0)})
    x, y = batch_of()
    expected = objectives(model, x, y, form)
    found = model.objectives(x, y, model(x)["states"])
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(float(found[name]), value, rtol=1e-4, err_msg=name)
    model.compile("sgd", run_eagerly=True)
    total = sum(w * v for w, v in zip((2.0, 3.0, 5.0, 7.0), expected.values()))
    found = model.evaluate(x, y, batch_size=6, verbose=0)
    np.testing.assert_allclose(found, total, rtol=1e-4)


def test_default_weights():
    assert make().objective_weights == (0.2, 1.0, 1.0, 0.5)


def test_sums_and_padding():
    """Twice the batch is twice the loss; rows of padding alone add to no objective."""
    model, (x, y) = make(), batch_of()

    def sums(change):
        inputs = {k: change(v) for k, v in x.items()}
        targets = {k: change(v) for k, v in y.items()}
        found = model.objectives(inputs, targets, model(inputs)["states"])
        return np.array([float(found[name]) for name in ("aap", "mip", "map", "sp")])

    once = sums(lambda v: v)
    np.testing.assert_allclose(sums(lambda v: np.tile(v, (2, 1))), 2 * once, rtol=1e-4)
    more = sums(lambda v: np.concatenate([v, np.zeros_like(v[:2])]))
    np.testing.assert_allclose(more, once, rtol=1e-5)


def test_every_weight_has_a_gradient():
    import tensorflow as tf

    model, (x, y) = make(), batch_of()
    model.compile("sgd")
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True))
    values = [v.value for v in model.trainable_variables]
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, values)
    ):
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.isfinite(gradient).all()
        assert gradient.any() or variable.path.endswith("key/bias"), variable.path
        if "attribute_vectors" in variable.path:
            assert (np.abs(gradient[1:]).sum(1) > 0).all() and not gradient[0].any()
    assert len(model.non_trainable_weights) == 1  # the table of attributes


def test_fine_tuning_starts_from_the_pretrained_weights():
    source, target = make(), make("finetune", seed=1)
    rows = batch_of()[0]["items"]
    assert not np.allclose(table_of(source), table_of(target))
    copy_weights(target, source)
    expected, there = twin(source, rows, "past"), rows != 0
    found = states_of(target, rows)
    np.testing.assert_allclose(found[there], expected[there], rtol=1e-4, atol=1e-4)
    joint = make("joint", seed=2)
    copy_weights(joint, source)
    np.testing.assert_allclose(states_of(joint, rows), found, atol=1e-5)


def test_weights_that_do_not_fit():
    target = make("finetune", seed=1)
    before = table_of(target)
    with pytest.raises(ValueError, match=r"'block_1/attention/query/kernel' is not"):
        copy_weights(target, make(num_layers=1))
    message = r"'items/tables/embeddings' has the shape \(9, 4\), not \(9, 6\)"
    with pytest.raises(ValueError, match=message):
        copy_weights(target, make(embedding_dim=4))
    np.testing.assert_array_equal(table_of(target), before)


@pytest.mark.parametrize("stage", ["pretrain", "finetune", "joint"])
def test_who_sees_what_follows(stage):
    model = make(stage)
    rows = np.array([[0, 0, 2, 5, 8], [3, 4, 5, 6, 7]], "int32")
    changed = rows.copy()
    changed[:, -1] = 4
    before, after = states_of(model, rows), states_of(model, changed)
    moved = np.abs(before[:, :-1] - after[:, :-1]).max()
    assert moved > 1e-3 if stage == "pretrain" else moved < 1e-5
    assert np.abs(before[:, -1] - after[:, -1]).max() > 1e-3


def unit(vector):
    return vector / np.linalg.norm(vector)


def info_nce_twin(first, second, is_negative, temperature):
    """Means of both directions, an example at a time."""
    s = np.array([[unit(a) @ unit(b) for b in second] for a in first]) / temperature
    losses = []
    for i in range(len(s)):
        others = [j for j in range(len(s)) if j == i or is_negative(i, j)]
        forward = np.log(sum(np.exp(s[i, j]) for j in others)) - s[i, i]
        others = [j for j in range(len(s)) if j == i or is_negative(j, i)]
        backward = np.log(sum(np.exp(s[j, i]) for j in others)) - s[i, i]
        losses.append((forward + backward) / 2)
    return losses


def test_joint_loss_is_its_parts():
    objective = {"view_weight": 0.3, "item_weight": 0.7, "temperature": 0.5}
    model = make("joint", num_negatives=None, objective=objective)
    rng = np.random.default_rng(0)
    views = rng.integers(2, 2 + V, (4, 2, T)).astype("int32")
    views[:2, :, :3] = 0
    pairs = np.array([[2, 5], [3, 6], [8, 4], [0, 0]], "int32")
    rows = rng.integers(2, 2 + V, (4, T)).astype("int32")
    y = {"next_item": np.roll(rows, -1, 1), "views": views, "item_pairs": pairs}
    model.compile("sgd", run_eagerly=True)
    plain = make("finetune", num_negatives=None)
    copy_weights(plain, model)
    plain.compile("sgd", run_eagerly=True)
    next_item = plain.evaluate({"items": rows}, y, batch_size=4, verbose=0)
    first, second = (twin(model, views[:, i], "past")[:, -1] for i in range(2))
    of_views = np.mean(info_nce_twin(first, second, lambda i, j: True, 0.5))

    def is_negative(i, j):
        own, other = (
            set(ATTRIBUTES[item].tolist()) - {0} for item in (pairs[i, 0], pairs[j, 1])
        )
        return pairs[i, 0] > 0 and pairs[j, 1] > 0 and not own & other

    table = table_of(model)
    first, second = table[pairs[:3, 0]], table[pairs[:3, 1]]
    of_items = np.mean(info_nce_twin(first, second, is_negative, 0.5))
    np.testing.assert_allclose(float(model.view_loss(views)), of_views, rtol=1e-4)
    np.testing.assert_allclose(float(model.item_loss(pairs)), of_items, rtol=1e-4)
    found = model.evaluate({"items": rows}, y, batch_size=4, verbose=0)
    expected = next_item + 0.3 * of_views + 0.7 * of_items
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("stage", ["pretrain", "joint"])
def test_learns_and_is_saved(stage, tmp_path):
    """The fine-tuning model is SASRec's kind, which has this test."""
    model = make(stage, num_layers=1, dropout=0.1, seed=3)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=stage == "joint")
    options = {"sampler": UniformSampler(V), "drop_remainder": True}
    if stage == "pretrain":
        batches = s3rec_batches(SEQUENCES, T, 6, each_place=False, **options)
    else:
        groups = [np.flatnonzero((a == ATTRIBUTES).any(1)) for a in range(1, A + 1)]
        partners = similar_items(groups, 2 + V)
        options |= {"lengths": (T // 2,), "stride": T}
        batches = contrastive_batches(SEQUENCES, T, 2, partners=partners, **options)
    losses = model.fit(batches, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    kinds = {"pretrain": S3RecPretraining, "joint": ContrastiveItemModel}
    assert type(loaded) is kinds[stage]
    own, other = loaded.get_config(), model.get_config()
    assert {**own, "model": None} == {**other, "model": None}
    assert loaded.optimizer.iterations == model.optimizer.iterations
    rows = batch_of()[0]["items"]
    np.testing.assert_allclose(states_of(loaded, rows), states_of(model, rows))
    np.testing.assert_array_equal(np.asarray(loaded.attributes.table), ATTRIBUTES)


def test_bad_input():
    with pytest.raises(ValueError, match=r"`stage` must be one of.*stage='train'"):
        s3rec(SCHEMA, stage="train")
    with pytest.raises(ValueError, match=r"`attributes` must be given.*'joint'.*None"):
        s3rec(SCHEMA, stage="joint")
    with pytest.raises(ValueError, match=r"must be left out for the stage 'finetune'"):
        s3rec(SCHEMA, attributes=ATTRIBUTES)
    for bad in (ATTRIBUTES[1:], ATTRIBUTES + 1, ATTRIBUTES * 0, ATTRIBUTES[:, 0]):
        with pytest.raises(ValueError, match=r"of the 9 rows.*first 2.*shape=\("):
            s3rec(SCHEMA, stage="pretrain", attributes=bad)
    plain = make("finetune")
    parts = (plain.input, plain.output)
    with pytest.raises(ValueError, match=r"`items` must be the model's ItemTable"):
        S3RecPretraining(*parts, 4, 3, items="goods")
    with pytest.raises(ValueError, match=r"`form` must be one of.*form='ours'"):
        S3RecPretraining(*parts, 4, 3, form="ours")
    with pytest.raises(ValueError, match=r"`weights` must be those of.*\(1, 2\)"):
        S3RecPretraining(*parts, 4, 3, weights=(1, 2))
    for name in ("view_weight", "item_weight"):
        with pytest.raises(ValueError, match=rf"`{name}` must not be.*{name}=-1"):
            ContrastiveItemModel(*parts, **{name: -1})
    layer = make().attributes
    with pytest.raises(ValueError, match=r"`table` must be integers.*int64 of shape"):
        layer.set_table(np.zeros((2, 2), "int64"))
    with pytest.raises(ValueError, match=r"`table` must be integers.*float32"):
        layer.set_table(ATTRIBUTES.astype("float32"))


@pytest.mark.parametrize("form", ["paper", "authors"])
def test_places_that_do_not_count_add_nothing(form, monkeypatch):
    """TensorFlow leaves them out; elsewhere they are there and weigh nothing."""
    model = make("pretrain", objective={"form": form})
    x, y = batch_of()
    states = model(x)["states"]
    kept = model.objectives(x, y, states)
    monkeypatch.setattr(
        "keras_recs.models.s3_rec_pretraining.rows_at",
        lambda _, *arrays: [
            keras.ops.reshape(array, (-1, *array.shape[2:])) for array in arrays
        ],
    )
    for name, value in model.objectives(x, y, states).items():
        assert float(value) != 0
        np.testing.assert_allclose(float(kept[name]), float(value), rtol=1e-5)


@pytest.mark.parametrize("stage", ["pretrain", "finetune", "joint"])
def test_less_padding_changes_nothing(stage):
    model = make(stage)
    rows = np.array([[0, 0, 3, 7, 4], [0, 0, 0, 5, 2]], "int32")
    assert rows.shape[1] == T
    np.testing.assert_allclose(
        states_of(model, rows[:, 2:]), states_of(model, rows)[:, 2:], atol=1e-5
    )
