"""What holds for every registered layer and for every model builder."""

import json

import numpy as np
import pytest

from tests import harness
from tests.preloaded import run_preloaded

CLASSES = harness.layer_classes()
BUILDERS = harness.builders()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("common")


@pytest.fixture(scope="module")
def cases(folder):
    return harness.layer_cases(folder)


@pytest.fixture(scope="module")
def schemas(folder):
    return harness.model_schemas(folder)


@pytest.fixture
def case(cases, request):
    name = request.node.callspec.params["name"]
    assert name in cases, f"add {name} to layer_cases in tests/harness.py"
    return cases[name]


def as_json(config):
    return json.loads(json.dumps(config))


def same(left, right, **options):
    import keras

    left, right = keras.tree.flatten(left), keras.tree.flatten(right)
    assert len(left) == len(right)
    for a, b in zip(left, right):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), **options)


# === Layers ===


@pytest.mark.parametrize("name", CLASSES)
def test_registered_name(name):
    import keras

    cls = harness.find_class(name)
    assert keras.saving.get_registered_name(cls) == f"keras_recs>{name}"


@pytest.mark.parametrize("name", CLASSES)
def test_config_holds_every_argument(name, case):
    arguments = harness.own_arguments(harness.find_class(name))
    assert set(case.arguments) == set(arguments), "the case must give every argument"
    assert len(arguments) <= 7
    for argument, value in case.arguments.items():
        assert value is not arguments[argument].default, argument
        assert value != arguments[argument].default, argument
    layer = harness.find_class(name)(**case.arguments)
    config = layer.get_config()
    for argument, parameter in arguments.items():
        assert argument in config
        assert hasattr(layer, argument)
        if parameter.default is not parameter.empty:
            others = {a: v for a, v in case.arguments.items() if a != argument}
            plain = harness.find_class(name)(**others).get_config()
            assert as_json(plain[argument]) != as_json(config[argument]), argument


@pytest.mark.parametrize("name", CLASSES)
def test_config_round_trip(name, case):
    import keras

    cls = harness.find_class(name)
    layer = cls(**case.arguments, name="given")
    config = layer.get_config()
    assert config["name"] == "given"
    assert as_json(cls.from_config(config).get_config()) == as_json(config)
    assert as_json(cls.from_config(as_json(config)).get_config()) == as_json(config)
    stored = as_json(keras.saving.serialize_keras_object(layer))
    safe = name not in harness.READS_FILES
    loaded = keras.saving.deserialize_keras_object(stored, safe_mode=safe)
    assert type(loaded) is cls
    assert as_json(loaded.get_config()) == as_json(config)
    # A layer made from the configuration computes the same.
    values = harness.tensors(case.inputs(3))
    outputs = harness.call(layer, values)
    copy = cls.from_config(as_json(config))
    harness.call(copy, values)
    copy.set_weights(layer.get_weights())
    same(harness.call(copy, values), outputs)
    assert as_json(layer.get_config()) == as_json(config), "`call` changed the config"


@pytest.mark.parametrize("name", CLASSES)
def test_build_alone_creates_all_weights(name, case):
    layer = harness.find_class(name)(**case.arguments)
    config = as_json(layer.get_config())
    harness.build(layer, case.inputs(2))
    assert layer.built
    assert as_json(layer.get_config()) == config, "`build` changed the config"
    built = [(weight.path, weight.shape) for weight in layer.weights]
    for child in layer._flatten_layers(include_self=False):
        assert child.built, child.name
    harness.call(layer, harness.tensors(case.inputs(2)))
    assert [(weight.path, weight.shape) for weight in layer.weights] == built


@pytest.mark.parametrize("name", CLASSES)
def test_shapes_for_batches_of_1_3_and_none(name, case):
    import keras

    layer = harness.find_class(name)(**case.arguments)
    for batch in (1, 3):
        values = case.inputs(batch)
        outputs = harness.call(layer, harness.tensors(values))
        for known in (batch, None):
            arguments, _ = harness.symbolic(values, known)
            spec = harness.call(layer, arguments)
            keras.tree.assert_same_structure(spec, outputs)
            for promised, output in zip(
                keras.tree.flatten(spec), keras.tree.flatten(outputs)
            ):
                assert keras.backend.standardize_dtype(output.dtype) == promised.dtype
                assert output.shape[0] == batch, "a batch must stay a batch"
                assert len(promised.shape) == len(output.shape)
                for p, o in zip(promised.shape[1:], output.shape[1:]):
                    assert p in (None, o)
    # Rows do not see each other: one alone gives what it gives in a batch.
    many = keras.tree.flatten(harness.call(layer, harness.tensors(case.inputs(3))))
    first = keras.tree.map_structure(lambda a: a[:1], case.inputs(3))
    alone = keras.tree.flatten(harness.call(layer, harness.tensors(first)))
    same(
        [
            m[:1, ..., : a.shape[-1]] if a.shape.rank > 1 else m[:1]
            for m, a in zip(many, alone)
        ],
        alone,
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("name", CLASSES)
def test_eager_equals_graph(name, case):
    import keras
    import tensorflow as tf

    layer = harness.find_class(name)(**case.arguments)
    values = harness.tensors(case.inputs(3))
    eager = harness.call(layer, values)
    signature = keras.tree.map_structure(
        lambda t: tf.TensorSpec([None, *t.shape[1:]], t.dtype), values
    )
    graph = tf.function(lambda v: harness.call(layer, v), input_signature=[signature])
    same(graph(values), eager, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CLASSES)
def test_dtype_policies(name, case):
    import keras

    cls = harness.find_class(name)
    values = harness.tensors(case.inputs(3))
    reference = cls(**case.arguments)
    expected = harness.call(reference, values)
    for policy in harness.POLICIES:
        keras.config.set_dtype_policy(policy)
        layer = cls(**case.arguments)
        harness.build(layer, case.inputs(3))
        layer.set_weights(reference.get_weights())
        stored = {
            "float32",
            "int32",
            "int64",
            "uint32",
            case.arguments.get("storage_dtype"),
        }
        for weight in layer.weights:
            assert weight.dtype in stored, weight.path
        outputs = harness.call(layer, values)
        floats = [o for o in keras.tree.flatten(outputs) if o.dtype.is_floating]
        assert all(
            o.dtype == layer.compute_dtype or o.dtype == "float32" for o in floats
        )
        as_float = keras.tree.map_structure(lambda t: np.asarray(t, "float32"), outputs)
        tolerance = 1e-6 if policy == "float32" else 0.03
        same(as_float, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CLASSES)
def test_every_weight_of_a_layer_gets_a_finite_gradient(name, case):
    layer = harness.find_class(name)(**case.arguments)
    values = harness.tensors(case.inputs(3))
    harness.build(layer, case.inputs(3))
    found = harness.gradients(
        layer, lambda: harness.call(layer, values), harness.square_loss
    )
    for path, gradient in found.items():
        assert gradient is not None, path
        assert np.isfinite(harness.values_of(gradient)).all(), path


# === Models ===


@pytest.mark.parametrize("name", BUILDERS)
def test_the_harness_knows_every_argument(name):
    import keras_recs

    arguments = harness.own_arguments(getattr(keras_recs.models, name))
    assert next(iter(arguments)) == "schema"
    assert len(arguments) - 1 <= 12
    unknown = set(arguments) - {"schema"} - set(harness.SMALL_ARGUMENTS)
    assert not unknown, "add them to SMALL_ARGUMENTS in tests/harness.py"


def _models():
    """Of two schemas that differ in the labels alone, one does for the usual run."""
    for name, schema in harness.builders_and_schemas():
        large = schema == "every kind of feature, one label"
        yield pytest.param(name, schema, marks=pytest.mark.large if large else [])


@pytest.mark.parametrize(("name", "schema_name"), [*_models()])
def test_model(name, schema_name, schemas):
    """Names, shapes for any batch, eager = graph, config round trip, gradients."""
    import keras
    import tensorflow as tf

    schema = harness.suited(name, schemas[schema_name])
    model = harness.build_model(name, schema)
    assert isinstance(model, keras.Model)
    assert model.name == name
    names = {*schema.feature_names, *schema.value_weights.values()}
    assert set(model.input) == names
    assert list(model.output) == harness.output_names(name, schema)
    assert all(output.shape == (None, 1) for output in model.output.values())
    assert all(output.dtype == "float32" for output in model.output.values())

    inputs = harness.tensors(harness.model_inputs(schema, 3))
    outputs = model(inputs)
    graph = tf.function(model)(inputs)
    one = model({key: value[:1] for key, value in inputs.items()})
    for label in schema.labels:
        values = outputs[label.name].numpy()
        assert values.shape == (3, 1)
        assert np.isfinite(values).all()
        if label.task == "binary":
            assert ((values > 0) & (values < 1)).all()
        np.testing.assert_allclose(graph[label.name], values, rtol=1e-5)
        assert one[label.name].shape == (1, 1)
        np.testing.assert_allclose(one[label.name], values[:1], rtol=1e-5)

    config = as_json(model.get_config())
    copy = keras.Model.from_config(config)
    assert [w.path for w in copy.weights] == [w.path for w in model.weights]
    copy.set_weights(model.get_weights())
    same(copy(inputs), outputs)

    found = harness.gradients(model, lambda: model(inputs), harness.square_loss)
    for path, gradient in found.items():
        assert gradient is not None, path
        values = harness.values_of(gradient)
        assert np.isfinite(values).all(), path


@pytest.mark.parametrize("name", BUILDERS)
def test_a_feature_may_be_named_like_a_layer(name, schemas):
    """Any layer of the model, at top level; saved and read again."""
    import dataclasses

    import keras

    from keras_recs import CategoricalFeature, NumericFeature

    schema = harness.suited(name, schemas["every kind of feature, one label"])
    layers = {
        operation.name for operation in harness.build_model(name, schema).operations
    }
    features = [
        CategoricalFeature(layer, vocabulary_size=2)
        for layer in sorted(layers - set(schema.feature_names))
    ]
    features[0] = NumericFeature(features[0].name)
    schema = dataclasses.replace(schema, features=[*schema.features, *features])
    model = harness.build_model(name, schema)
    assert layers <= set(model.input) == set(schema.feature_names)
    copy = keras.Model.from_config(as_json(model.get_config()))
    copy.set_weights(model.get_weights())
    inputs = harness.tensors(harness.model_inputs(schema, 2))
    same(copy(inputs), model(inputs))


@pytest.mark.parametrize("name", BUILDERS)
def test_other_arguments_of_a_builder(name, schemas):
    """Every argument with another value than its default reaches the model."""
    import keras

    import keras_recs

    def config(**others):
        # Else the numbers in Keras's own names differ.
        keras.utils.clear_session(free_memory=False)
        model = harness.build_model(name, schemas[harness.SCHEMAS[0]], **others)
        return as_json(model.get_config())

    arguments = harness.own_arguments(getattr(keras_recs.models, name))
    usual = config()
    assert config() == usual
    for argument, parameter in arguments.items():
        if argument == "schema":
            continue
        value = harness.other_argument(name, argument)
        assert value != parameter.default
        extra = harness.needs(name, argument)
        plain = config(**extra) if extra else usual
        assert config(**extra, **{argument: value}) != plain, argument


@pytest.mark.parametrize("name", BUILDERS)
def test_dropouts_draw_apart(name, schemas):
    """Layers of one seed would drop the same units."""
    import keras

    import keras_recs

    known = harness.own_arguments(getattr(keras_recs.models, name))
    chosen = {"dropout": 0.1, "seed": 5, "hidden_units": (8, 4)}
    chosen = {key: value for key, value in chosen.items() if key in known}
    model = harness.build_model(name, schemas[harness.SCHEMAS[0]], **chosen)
    found = list(model._flatten_layers())
    seeds = [layer.seed for layer in found if isinstance(layer, keras.layers.Dropout)]
    assert bool(seeds) == ("dropout" in known)
    assert None not in seeds
    assert len(set(seeds)) == len(seeds), seeds


# Unlike one another: the others' graphs of training are made of the same layers.
TRACED = ("dcn_v2", "deepfm", "dien", "din", "finalmlp")


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        *((name, "mixed_bfloat16") for name in BUILDERS),
        *((name, "float32") for name in TRACED),
        *(
            pytest.param(name, policy, marks=pytest.mark.large)
            for name in BUILDERS
            for policy in ("float32", "mixed_float16")
            if (name, policy) not in [(traced, "float32") for traced in TRACED]
        ),
    ],
)
def test_one_fit_step(name, policy, schemas):
    """One step moves every weight and leaves it finite, under each policy."""
    import keras

    schema = harness.suited(name, schemas["every kind of feature, two labels"])
    keras.config.set_dtype_policy(policy)
    model = harness.build_model(name, schema)
    (node,) = model.get_layer("heads")._inbound_nodes
    for logits in node.arguments.kwargs.get("logits", []):
        assert logits.dtype == "float32", logits._keras_history.operation.name
    before = [np.asarray(weight).copy() for weight in model.trainable_weights]
    # The graph's tracing takes most of the time; half precision is also tried without.
    eager = policy == "mixed_bfloat16"
    model.compile("adam", loss=harness.losses(schema), run_eagerly=eager)
    rows = 8
    model.fit(
        harness.model_inputs(schema, rows),
        harness.model_labels(schema, rows),
        batch_size=rows,
        # Loss scaling skips the first steps where gradients are large.
        epochs=8 if policy == "mixed_float16" else 1,
        verbose=0,
    )
    for old, weight in zip(before, model.trainable_weights):
        assert np.isfinite(np.asarray(weight)).all(), weight.path
        assert weight.dtype == "float32"
        assert not np.array_equal(old, np.asarray(weight)), weight.path
    outputs = model.predict_on_batch(harness.model_inputs(schema, 1))
    assert {str(output.dtype) for output in outputs.values()} == {"float32"}


RELOAD = """
import sys
from pathlib import Path
import keras
import numpy as np
import tensorflow as tf
import keras_recs
for name in keras_recs.preprocessing.__all__:
    getattr(keras_recs.preprocessing, name)
for path in sorted(Path(sys.argv[1]).glob("*.keras")):
    model = keras.models.load_model(path, safe_mode=path.stem not in sys.argv[2:])
    with np.load(path.with_suffix(".inputs.npz")) as stored:
        inputs = {name: tf.constant(stored[name]) for name in stored.files}
    outputs = keras.tree.flatten(model(inputs))
    with np.load(path.with_suffix(".outputs.npz")) as stored:
        assert len(stored.files) == len(outputs)
        for name, output in zip(stored.files, outputs):
            np.testing.assert_array_equal(np.asarray(output), stored[name], path.name)
    print(path.stem)
"""


def test_saved_models_load_in_a_fresh_process(cases, schemas, tmp_path):
    """Every layer and every model, as `.keras` without `custom_objects`."""
    import keras

    def save(name, model, inputs):
        outputs = keras.tree.flatten(model(harness.tensors(inputs)))
        model.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.inputs.npz", **inputs)
        arrays = {f"out_{i:03}": np.asarray(o) for i, o in enumerate(outputs)}
        np.savez(tmp_path / f"{name}.outputs.npz", **arrays)

    for name in CLASSES:
        layer = harness.find_class(name)(**cases[name].arguments)
        values = cases[name].inputs(3)
        save(name, harness.functional(layer, values), harness.named(values))
    schema = harness.suited(name, schemas["every kind of feature, two labels"])
    for name in BUILDERS:
        save(name, harness.build_model(name, schema), harness.model_inputs(schema, 3))
    done = run_preloaded("-c", RELOAD, tmp_path, *harness.READS_FILES)
    assert done.stdout.split() == sorted([*CLASSES, *BUILDERS])
