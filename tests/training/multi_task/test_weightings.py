"""Weightings of tasks, each against its definition written a second time."""

import itertools
import math

import keras
import numpy as np
import pytest

import keras_recs
from keras_recs import Label, NumericFeature, Schema
from keras_recs.training import (
    DynamicWeightAverage,
    GivenWeights,
    GradNorm,
    MultiTaskModel,
    PCGrad,
    UncertaintyWeights,
    weigh_tasks,
)

SCHEMA = Schema(
    features=[NumericFeature(name, transform="log1p") for name in "abc"],
    labels=[Label("click"), Label("rating", task="regression"), Label("like")],
)
LABELS = SCHEMA.label_names
WEIGHTINGS = {
    "given": lambda: GivenWeights({"click": 1.0, "rating": 0.5, "like": 2}),
    "uncertainty": UncertaintyWeights,
    "average": DynamicWeightAverage,
    "grad_norm": lambda: GradNorm("shared"),
    "pcgrad": lambda: PCGrad(seed=3),
}


def data(rows=24, seed=0):
    rng = np.random.default_rng(seed)
    x = {name: rng.normal(size=rows).astype("float32") for name in "abc"}
    y = {
        "click": rng.integers(0, 2, (rows, 1)).astype("float32"),
        "rating": rng.normal(size=(rows, 1)).astype("float32"),
        "like": rng.integers(0, 2, (rows, 1)).astype("float32"),
    }
    return x, y


def base():
    keras.utils.set_random_seed(1)
    return keras_recs.models.shared_bottom(SCHEMA, hidden_units=(4,), tower_units=(3,))


def weighed(weighting, rate=0.1, run_eagerly=True, **options):
    """Compiled; most tests train few steps, and a graph's tracing would take longer."""
    model = weigh_tasks(base(), SCHEMA, weighting)
    losses = keras_recs.losses.losses_of(SCHEMA)
    sgd = keras.optimizers.SGD(rate)
    model.compile(sgd, losses, run_eagerly=run_eagerly, **options)
    return model


def train(model, epochs=1, rows=24, **options):
    x, y = data(rows)
    options = {"batch_size": 8, "shuffle": False, "verbose": 0, **options}
    return model.fit(x, y, epochs=epochs, **options)


def gradients_by_task(model, x, y):
    """For each label: its loss, and the gradient of each weight of the model."""
    import tensorflow as tf

    weights = [w for w in model.trainable_weights if "log_variances" not in w.path]
    found = []
    for label in LABELS:
        name = keras_recs.losses.losses_of(SCHEMA)[label]
        with tf.GradientTape() as tape:
            p = model(x, training=True)[label]
            loss = tf.reduce_mean(keras.losses.get(name)(y[label], p))
        gradients = tape.gradient(loss, [w.value for w in weights])
        found.append((float(loss), dict(zip([w.path for w in weights], gradients))))
    return found


def test_given_weights_are_loss_weights_of_keras():
    plain = base()
    losses = keras_recs.losses.losses_of(SCHEMA)
    weights = {"click": 1.0, "rating": 0.5, "like": 2.0}
    plain.compile(keras.optimizers.SGD(0.1), losses, loss_weights=weights)
    expected = train(plain, 3).history
    model = weighed(GivenWeights(weights))
    history = train(model, 3).history
    for ours, theirs in zip(model.get_weights(), plain.get_weights()):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    for key, values in expected.items():
        np.testing.assert_allclose(history[key], values, rtol=1e-5)


def test_a_schedule_counts_steps():
    decay = keras.optimizers.schedules.ExponentialDecay(2.0, 3, 0.5)
    model = weighed(GivenWeights({"click": 1.0, "rating": 1.0, "like": decay}))
    history = train(model, 2).history
    by_step = [2.0 * 0.5 ** (step / 3) for step in range(6)]
    expected = [np.mean(by_step[:3]), np.mean(by_step[3:])]
    np.testing.assert_allclose(history["like_weight"], expected, rtol=1e-5)
    assert history["click_weight"] == [1.0, 1.0]


def test_a_step_of_uncertainty_weights():
    model = weighed(UncertaintyWeights())
    start = np.array([0.3, -0.4, 0.1], "float32")
    model.weighting.log_variances.assign(start)
    x, y = data(8)
    found = gradients_by_task(model, x, y)
    before = {w.path: np.asarray(w) for w in model.trainable_weights}
    train(model, rows=8)
    factor = np.array([1.0, 0.5, 1.0]) * np.exp(-start)
    losses = np.array([loss for loss, _ in found])
    expected = start - 0.1 * (-factor * losses + 0.5)
    np.testing.assert_allclose(model.weighting.log_variances, expected, rtol=1e-5)
    for weight in model.trainable_weights:
        if "log_variances" in weight.path:
            continue
        total = sum(
            f * np.asarray(gradients[weight.path])
            for f, (_, gradients) in zip(factor, found)
            if gradients[weight.path] is not None
        )
        new = before[weight.path] - 0.1 * total
        np.testing.assert_allclose(weight, new, rtol=1e-4, atol=1e-6)


def test_dynamic_averages_follow_the_losses_of_epochs():
    model = weighed(DynamicWeightAverage(temperature=0.5))
    history = train(model, 5).history
    losses = np.array([history[f"{label}_loss"] for label in LABELS])  # (K, epochs)
    weights = np.array([history[f"{label}_weight"] for label in LABELS])
    np.testing.assert_allclose(weights[:, :2], 1.0)
    for epoch in (2, 3, 4):
        ratio = losses[:, epoch - 1] / losses[:, epoch - 2]
        e = np.exp(ratio / 0.5)
        np.testing.assert_allclose(weights[:, epoch], 3 * e / e.sum(), rtol=1e-4)


def test_a_step_of_grad_norm():
    import tensorflow as tf

    rate, alpha = 0.025, 1.5
    model = weighed(GradNorm("shared", alpha, rate))
    train(model, rows=8)  # sets the first losses
    x, y = data(8)
    state = model.weighting
    first, w = np.asarray(state.first), np.asarray(state.current)
    momentum, velocity = np.asarray(state.momentum), np.asarray(state.velocity)
    found = gradients_by_task(model, x, y)
    losses = np.array([loss for loss, _ in found])
    shared = [weight.path for weight in model.get_layer("shared").trainable_weights]
    norms = [
        math.sqrt(sum(float(np.sum(np.square(g[path]))) for path in shared))
        for _, g in found
    ]
    ratio = losses / first
    target = np.mean(w * norms) * (ratio / ratio.mean()) ** alpha
    variable = tf.Variable(w)
    with tf.GradientTape() as tape:  # of what the definition says, in w alone
        value = tf.reduce_sum(tf.abs(variable * norms - target.astype("float32")))
    gradient = tape.gradient(value, variable).numpy()
    momentum = 0.9 * momentum + 0.1 * gradient
    velocity = 0.999 * velocity + 0.001 * gradient**2
    step = momentum / (1 - 0.9**2) / np.sqrt(velocity / (1 - 0.999**2))
    expected = w - rate * step
    expected *= 3 / expected.sum()

    train(model, rows=8)
    np.testing.assert_allclose(state.current, expected, rtol=1e-4)
    np.testing.assert_allclose(np.sum(np.asarray(state.current)), 3, rtol=1e-6)
    assert not np.allclose(expected, 1)
    np.testing.assert_array_equal(state.first, first)


def test_grad_norm_makes_the_gradients_alike():
    """The label with the tenfold scale does not keep its hundredfold gradient."""
    import tensorflow as tf

    x, y = data()
    y["rating"] *= 10
    weighting = GradNorm("shared", alpha=0.1, learning_rate=0.05)
    model = weighed(weighting, rate=1e-3, run_eagerly=False, steps_per_execution=60)
    batch = tf.data.Dataset.from_tensors((x, y))
    model.fit(batch.repeat(60), shuffle=False, verbose=0)
    found = gradients_by_task(model, x, y)
    shared = [weight.path for weight in model.get_layer("shared").trainable_weights]
    norms = np.array(
        [math.sqrt(sum(np.sum(np.square(g[p])) for p in shared)) for _, g in found]
    )
    scaled = np.asarray(model.weighting.current) * norms
    assert norms.max() / norms.min() > 3 * scaled.max() / scaled.min()


def projected(gradients, orders):
    """PCGrad on flat vectors: each task's, less what is against the others, in order."""
    total = 0
    for own, order in zip(gradients, orders):
        own = own.copy()
        for j in order:
            inner = own @ gradients[j]
            if inner < 0:
                own = own - inner / (gradients[j] @ gradients[j]) * gradients[j]
        total = total + own
    return total


def test_projections_of_conflicting_gradients():
    """Of three tasks any order of the others may come: one of the eight results."""
    rng = np.random.default_rng(0)
    weighting = PCGrad()
    weighting.bind(dict.fromkeys(LABELS, "binary"))
    seen = set()
    for _ in range(30):
        gradients = rng.normal(size=(3, 4))
        gradients[1] -= 2 * gradients[0]
        products = (gradients @ gradients.T).astype("float32")
        ours = np.asarray(weighting.coefficients(products)) @ gradients
        others = [list(itertools.permutations({0, 1, 2} - {i})) for i in range(3)]
        results = [
            projected(gradients, orders) for orders in itertools.product(*others)
        ]
        errors = [np.abs(ours - result).max() for result in results]
        assert min(errors) < 1e-4
        seen.add(int(np.argmin(errors)))
    assert len(seen) > 2, "the order is drawn"


def test_a_step_of_pcgrad():
    import tensorflow as tf

    tf.random.set_seed(0)
    model = weighed(PCGrad())
    x, y = data(8)
    found = [g for _, g in gradients_by_task(model, x, y)]
    before = {w.path: np.asarray(w) for w in model.trainable_weights}
    # The towers of all tasks lie in one variable, and are no shared weights.
    shared = [p for p in before if p.startswith("shared/")]
    own = [p for p in before if p.startswith("towers/")]
    assert len(shared) + len(own) == len(before)
    train(model, rows=8)
    flat = [np.concatenate([np.ravel(g[p]) for p in shared]) for g in found]
    moved = np.concatenate(
        [
            np.ravel((before[w.path] - np.asarray(w)) / 0.1)
            for p in shared
            for w in model.trainable_weights
            if w.path == p
        ]
    )
    others = [list(itertools.permutations({0, 1, 2} - {i})) for i in range(3)]
    results = [projected(flat, orders) for orders in itertools.product(*others)]
    assert min(np.abs(moved - result).max() for result in results) < 1e-4
    for weight in model.trainable_weights:
        if weight.path in own:
            total = sum(np.asarray(g[weight.path]) for g in found)
            new = before[weight.path] - 0.1 * total
            np.testing.assert_allclose(weight, new, rtol=1e-4, atol=1e-6)


def test_inner_products_of_rows_that_occur_twice():
    import tensorflow as tf

    from keras_recs.training.multi_task.gradient_products import gradient_products

    def sparse(values, rows):
        values = tf.constant(values, tf.float32)
        return tf.IndexedSlices(values, tf.constant(rows), tf.constant([5, 2]))

    one = sparse([[1, 2], [3, 4], [5, 6]], [3, 1, 3])
    two = sparse([[1, 0], [0, 1]], [3, 4])
    dense = [np.zeros((5, 2)), np.zeros((5, 2))]
    for array, slices in zip(dense, (one, two)):
        np.add.at(array, slices.indices.numpy(), slices.values.numpy())
    flat = np.stack([array.ravel() for array in dense])
    extra = tf.constant([2.0])
    found = gradient_products(
        [[one, extra, extra], [two, None, extra]], [None, None, np.float32(0)]
    )
    expected = flat @ flat.T  # of the others one task has none, and one is masked
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_saved_and_loaded(name, tmp_path):
    model = weighed(WEIGHTINGS[name]())
    train(model, 2)
    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    assert type(copy) is MultiTaskModel
    assert copy.weighting.get_config() == model.weighting.get_config()
    for ours, theirs in zip(copy.variables, model.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    x, _ = data()
    for label, values in copy.predict(x, verbose=0).items():
        np.testing.assert_allclose(
            values, model.predict(x, verbose=0)[label], rtol=1e-6
        )
    assert copy.optimizer.iterations == 6, "compiled as it was"


@pytest.mark.parametrize("name", WEIGHTINGS)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(name, policy):
    keras.config.set_dtype_policy(policy)
    model = weighed(WEIGHTINGS[name](), run_eagerly=policy == "mixed_bfloat16")
    history = train(model, 2).history
    assert all(np.isfinite(values).all() for values in history.values())
    for label in LABELS:
        assert history[f"{label}_weight"][-1] > 0


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_a_batch_without_a_label(name):
    """Its loss is 0 and not NaN, and the task learns nothing of it."""
    labels = [Label("click"), Label("rating", task="regression", optional=True)]
    schema = Schema(features=SCHEMA.features, labels=labels)
    keras.utils.set_random_seed(1)
    plain = keras_recs.models.shared_bottom(schema, hidden_units=(4,), tower_units=())
    weighting = WEIGHTINGS[name]()
    if name == "given":
        weighting = GivenWeights({"click": 1.0, "rating": 1.0})
    model = weigh_tasks(plain, schema, weighting)
    losses = keras_recs.losses.losses_of(schema)
    model.compile(keras.optimizers.SGD(0.1), losses, run_eagerly=True)
    x, y = data(16)
    x = {k: np.asarray(v) for k, v in x.items()}
    raw = {**x, "click": y["click"][:, 0], "rating": y["rating"][:, 0]}
    raw["rating"] = np.where(np.arange(16) < 8, np.nan, raw["rating"])
    batches = keras_recs.data.array_dataset(raw, schema, 8, shuffle=False)
    kernel = model.get_layer("towers").kernel
    before = np.asarray(kernel)
    logs = model.fit(batches.take(1), shuffle=False, verbose=0).history
    assert logs["rating_loss"] == [0.0]
    np.testing.assert_array_equal(np.asarray(kernel)[:, 1], before[:, 1])
    assert np.abs(np.asarray(kernel)[:, 0] - before[:, 0]).max() > 0
    history = model.fit(batches, epochs=3, shuffle=False, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert history["rating_loss"][-1] > 0


def test_one_task_and_unlabelled_outputs():
    funnel = [Label("click"), Label("order", given="click")]
    for labels, build in (
        (SCHEMA.labels[:1], keras_recs.models.shared_bottom),
        (funnel, keras_recs.models.esmm),
    ):
        schema = Schema(features=SCHEMA.features, labels=labels)
        x, y = data()
        y = {"click": y["click"], "order": y["click"] * y["like"]}
        plain = build(schema, hidden_units=(4,))
        model = weigh_tasks(plain, schema, DynamicWeightAverage())
        losses = keras_recs.losses.losses_of(schema)
        model.compile("adam", losses, run_eagerly=True)
        y = {label.name: y[label.name] for label in labels}
        history = model.fit(x, y, epochs=3, verbose=0).history
        assert all(np.isfinite(values).all() for values in history.values())
        assert sum(history[f"{k}_weight"][-1] for k in y) == pytest.approx(len(y))


def test_a_run_that_dies_goes_on_with_its_weights(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations.numpy()) == 8:  # of 3 an epoch
                raise KeyboardInterrupt

    x, y = data()
    raw = {**x, **{k: v[:, 0] for k, v in y.items()}}

    def run(folder, weighting, callbacks=()):
        model = weighed(weighting)
        history = keras_recs.training.fit(
            model,
            keras_recs.data.array_dataset(raw, SCHEMA, 8, seed=1),
            SCHEMA,
            folder,
            epochs=4,
            checkpoint_steps=3,
            callbacks=callbacks,
            verbose=0,
        )
        return model, history.history

    for name in ("average", "grad_norm"):
        whole, expected = run(tmp_path / f"{name}-whole", WEIGHTINGS[name]())
        assert expected["click_weight"][-1] != 1
        folder = tmp_path / name
        with pytest.raises(KeyboardInterrupt):
            run(folder, WEIGHTINGS[name](), [Stop()])
        model, history = run(folder, WEIGHTINGS[name]())
        assert history == expected
        for ours, theirs in zip(model.get_weights(), whole.get_weights()):
            np.testing.assert_array_equal(ours, theirs)
        events = list((folder / "tensorboard").rglob("events*"))
        assert any(b"click_weight" in path.read_bytes() for path in events)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: GivenWeights({"click": -1.0}), ValueError, "a number of at least 0"),
        (lambda: weighed(GivenWeights({"click": 1.0})), ValueError, "for each label"),
        (lambda: DynamicWeightAverage(0), ValueError, "`temperature` must be"),
        (lambda: GivenWeights({"click": math.inf}), ValueError, "at least 0"),
        (lambda: GradNorm("shared", alpha=-1), ValueError, "`alpha` must be"),
        (lambda: GradNorm("shared", alpha=True), ValueError, "`alpha` must be"),
        (lambda: GradNorm("shared", alpha=math.inf), ValueError, "`alpha` must be"),
        (lambda: GradNorm(3), ValueError, "`shared_layer` must be the name"),
        (
            lambda: GradNorm("x", learning_rate=-1),
            ValueError,
            "`learning_rate` must be",
        ),
        (lambda: weighed(GradNorm("no")), ValueError, "must be a layer of the"),
        (
            lambda: train(weighed(GradNorm("towers"))),
            ValueError,
            "each weight of 'towers' is one task's own",
        ),
        (
            lambda: weigh_tasks(
                keras.Model((x := keras.Input((2,))), [x]), SCHEMA, PCGrad()
            ),
            TypeError,
            "`outputs` must be a dict",
        ),
        (
            lambda: [weigh_tasks(base(), SCHEMA, w) for w in [PCGrad()] * 2],
            ValueError,
            "weighs the tasks of another model already",
        ),
        (
            lambda: weigh_tasks(
                base(), SCHEMA.with_labels(["click", "like"]), PCGrad()
            ).compile("sgd", keras_recs.losses.losses_of(SCHEMA)),
            ValueError,
            r"has one for \['rating'\], which are no tasks",
        ),
        (
            lambda: weigh_tasks(base(), SCHEMA, "uncertainty"),
            TypeError,
            "`weighting` must be one of",
        ),
        (
            lambda: weighed(PCGrad(), loss_weights={"click": 1.0}),
            ValueError,
            "leave out `loss_weights`",
        ),
        (
            lambda: weigh_tasks(
                base(), Schema(SCHEMA.features, [Label("x")]), PCGrad()
            ),
            ValueError,
            "which are no outputs",
        ),
        (
            lambda: weigh_tasks(base(), SCHEMA, PCGrad()).compile(
                "sgd", {"click": "mse"}
            ),
            ValueError,
            r"one for each label.*\['rating', 'like'\]",
        ),
    ],
)
def test_what_is_wrong_is_said(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_grad_norm_leaves_those_alone_that_have_no_label():
    """Two alike tasks, of which one has a label in every fifth batch only."""
    weighting = GradNorm("shared")
    weighting.bind({"a": "binary", "b": "binary"})
    for step in range(100):
        there = np.array([1.0, 1.0 if step % 5 == 0 else 0.0], "float32")
        weighting.update(there, there)
    np.testing.assert_allclose(weighting.current, [1, 1], rtol=1e-5)
    broken = np.array([np.nan, 1.0], "float32")
    weighting.update(broken, broken)
    assert np.isfinite(np.asarray(weighting.current)).all()


def test_grad_norm_of_a_table_is_that_of_its_dense_gradient():
    import tensorflow as tf

    from keras_recs.training.multi_task.multi_task_model import _square

    values = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    slices = tf.IndexedSlices(values, tf.constant([3, 1, 3]), tf.constant([5, 2]))
    dense = tf.convert_to_tensor(slices)
    assert float(_square(slices)) == pytest.approx(float(tf.reduce_sum(dense**2)))


def test_a_variance_learns_nothing_of_a_batch_without_its_label():
    labels = [Label("click"), Label("rating", task="regression", optional=True)]
    schema = Schema(features=SCHEMA.features, labels=labels)
    plain = keras_recs.models.shared_bottom(schema, hidden_units=(4,))
    model = weigh_tasks(plain, schema, UncertaintyWeights())
    losses = keras_recs.losses.losses_of(schema)
    model.compile(keras.optimizers.SGD(0.1), losses, run_eagerly=True)
    x, y = data(8)
    raw = {**x, "click": y["click"][:, 0], "rating": np.full(8, np.nan)}
    batches = keras_recs.data.array_dataset(raw, schema, 8, shuffle=False)
    model.fit(batches, epochs=2, shuffle=False, verbose=0)
    click, rating = np.asarray(model.weighting.log_variances)
    assert rating == 0
    assert click != 0


def test_the_order_of_projections_is_that_of_the_step():
    """A run that goes on has the order that it would have had."""
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(3, 4))
    gradients[1] -= 2 * gradients[0]
    products = (gradients @ gradients.T).astype("float32")

    def drawn(weighting, count):
        return [np.asarray(weighting.coefficients(products)) for _ in range(count)]

    one, other = PCGrad(seed=3), PCGrad(seed=3)
    for weighting in (one, other):
        weighting.bind(dict.fromkeys(LABELS, "binary"))
    whole = drawn(one, 8)
    drawn(other, 5)
    again = PCGrad(seed=3)
    again.bind(dict.fromkeys(LABELS, "binary"))
    again.draws.assign(other.draws)
    np.testing.assert_array_equal(drawn(again, 3), whole[5:])


def test_callbacks_as_keras_takes_them():
    model = weighed(DynamicWeightAverage())
    x, y = data(8)
    seen = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(1))
    model.fit(x, y, 8, 1, 0, callback)
    model.fit(x, y, 8, 1, 0, [callback])
    assert len(seen) == 2
    callbacks = keras.callbacks.CallbackList([callback], model=model)
    for _ in range(2):  # the weighting hears of each epoch once
        model.fit(x, y, 8, 1, 0, callbacks)
    assert len(seen) == 4
    assert len(callbacks.callbacks) == 2


@pytest.mark.parametrize("name", ["grad_norm", "pcgrad"])  # those with a step of theirs
def test_compiled_by_xla(name):
    model = weighed(WEIGHTINGS[name](), run_eagerly=False, jit_compile=True)
    twin = weighed(WEIGHTINGS[name]())
    for one in (model, twin):
        train(one, rows=8)
    for ours, theirs in zip(model.weights, twin.weights):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e5])
@pytest.mark.parametrize("run_eagerly", [True, False])
def test_grad_norm_of_the_last_task_beside_a_large_one(scale, run_eagerly):
    """What a loss of a hundred thousand times the others leaves of it."""
    model = weighed(GradNorm("shared"), rate=0.0, run_eagerly=run_eagerly)
    seen = []
    update = model.weighting.update

    def noted(losses, norms):
        seen.append(norms)
        update(losses, norms)

    x, y = data(8)
    y["rating"] *= scale
    expected = []
    for _, gradients in gradients_by_task(model, x, y):
        squares = [np.sum(g**2) for p, g in gradients.items() if "shared" in p]
        expected.append(math.sqrt(sum(squares)))
    if run_eagerly:
        model.weighting.update = noted
        model.fit(x, y, 8, verbose=0)
        np.testing.assert_allclose(seen[0], expected, rtol=1e-4)
    else:
        # Where G differs from its target a weight moves against its sign.
        model.fit(x, y, 8, verbose=0)
        found = np.asarray(model.weighting.momentum)
        signs = np.sign(expected - np.mean(expected))
        np.testing.assert_allclose(found, 0.1 * signs * expected, rtol=1e-4)


def test_grad_norm_of_shared_experts_alone():
    """The experts of a task are no weights that others read."""
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    plain = keras_recs.models.ple(SCHEMA, 4, 1, (2, 1), (5,), (3,))
    model = weigh_tasks(plain, SCHEMA, GradNorm("extraction_0"))
    losses = keras_recs.losses.losses_of(SCHEMA)
    model.compile(keras.optimizers.SGD(0.0), losses, run_eagerly=True)
    x, y = data(8)
    experts = model.get_layer("extraction_0").experts
    expected = []
    for label in LABELS:
        with tf.GradientTape() as tape:
            loss = keras.losses.get(losses[label])(y[label], model(x)[label])
            loss = tf.reduce_mean(loss)
        of = tape.gradient(loss, [experts.kernels[-1].value, experts.biases[-1].value])
        expected.append(math.sqrt(sum(np.sum(np.square(g[..., -1, :])) for g in of)))
    model.fit(x, y, 8, verbose=0)
    signs = np.sign(expected - np.mean(expected))
    found = np.asarray(model.weighting.momentum)
    np.testing.assert_allclose(found, 0.1 * signs * expected, rtol=1e-4)


def test_a_drawn_order_is_saved(tmp_path):
    model = weighed(PCGrad())
    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(3, 4))
    gradients[1] -= 2 * gradients[0]
    products = (gradients @ gradients.T).astype("float32")
    for _ in range(4):
        ours, theirs = (m.weighting.coefficients(products) for m in (model, copy))
        np.testing.assert_array_equal(ours, theirs)
