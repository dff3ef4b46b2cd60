"""Finds every registered class and every model builder, and the ways to call them.

A new layer needs an entry in `layer_cases`, a new kind of builder argument one in
`SMALL_ARGUMENTS`; without it the common tests fail and say so.
"""

import ast
import dataclasses
import functools
import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "keras_recs"
# Keras reads a file that a saved layer names only with `safe_mode=False`.
READS_FILES = ("SchemaPreprocessor", "VocabularyLookup")
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def embedding_options():
    """Shards and another initializer; made when it is used, as it imports Keras."""
    from keras_recs.models import EmbeddingOptions

    return EmbeddingOptions(num_shards=2, initializer="glorot_normal")


# Builder arguments by name: one word per concept makes this possible.
SMALL_ARGUMENTS = {
    "embedding_dim": 4,
    "hidden_units": (8, 4),
    "num_cross_layers": 2,
    "projection_dim": 3,
    "num_experts": 2,
    "num_layers": 3,
    "tower_units": (5,),
    "shared_gate": True,
    "bottom": "dcn_v2",
    "bottom_arguments": {"num_cross_layers": 2},
    "structure": "stacked",
    "interaction": "cat",
    "cin_layer_sizes": (4, 3),
    "split_half": True,
    "bottom_units": (6,),
    "top_units": (6,),
    "num_attention_layers": 2,
    "num_heads": 4,
    "use_residual": False,
    "scaled": True,
    "num_blocks": 2,
    "block_units": 6,
    "reduction_ratio": 1.5,
    "layer_norm": False,
    "second_hidden_units": (6, 4),
    "gate_units": (5,),
    "gate_features": (("user", "history"), ("item",)),
    "dropout": 0.25,
    "batch_norm": True,
    "embeddings_regularizer": "l2",
    "embedding_options": embedding_options,
    "kernel_regularizer": "l2",
    "attention_units": (5,),
    "use_softmax": True,
    "auxiliary_weight": 0.5,
    "targets": {"history": "user"},
    "activation": "tanh",
    "seed": 5,
}
# Where the word means something else in one builder.
OTHER_ARGUMENTS = {
    ("masknet", "structure"): "serial",
    ("ple", "num_experts"): (3, 2),
}
# What an argument does nothing without, in all builders or in one.
NEEDS = {
    "seed": {"dropout": 0.1},
    ("dcn_v2", "num_experts"): {"projection_dim": 3},
    "bottom_arguments": {"bottom": "dcn_v2"},
}
SIZES = (
    "embedding_dim",
    "hidden_units",
    "bottom_units",
    "top_units",
    "cin_layer_sizes",
    "block_units",
    "second_hidden_units",
    "gate_units",
    "attention_units",
    "tower_units",
)


# === Discovery, on the source: nothing is imported while tests are collected ===


def module_name(path):
    """Dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def registered_classes():
    """Name of each class under `@register`, and the module that defines it."""
    found = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and any(
                isinstance(d, ast.Name) and d.id == "register"
                for d in node.decorator_list
            ):
                found[node.name] = module_name(path)
    return found


@functools.cache
def layer_classes():
    """Names of the registered classes that are layers."""
    found = []
    for name, module in registered_classes().items():
        path = ROOT / (module.replace(".", "/") + ".py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                bases = [ast.unparse(base) for base in node.bases]
                if {"keras.layers.Layer", "MaskedAttention"} & set(bases):
                    found.append(name)
    return sorted(found)


def builders():
    """Name of each model builder: the elements of `keras_recs.models.BUILDERS`."""
    tree = ast.parse((LIBRARY / "models" / "__init__.py").read_text(encoding="utf-8"))
    return next(
        [element.id for element in node.value.elts]
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "BUILDERS"
    )


# The schemas of `model_schemas`, and what does not go together.
SCHEMAS = (
    "every kind of feature, two labels",
    "every kind of feature, one label",
    "no numbers",
    "weights of values",
    "histories",
)
WITHOUT_HISTORY = ("no numbers", "weights of values")
NEED_HISTORY = ("dien", "din")
READ_THE_ORDER = ("dien",)
TAKE_NUMBERS_ALONE = ("esmm", "logistic_regression", "mmoe", "ple", "shared_bottom")


def builders_and_schemas():
    """Pairs of a builder and the name of a schema for which it builds a model."""
    return [
        (name, schema)
        for schema in SCHEMAS
        for name in builders()
        if not (name in NEED_HISTORY and schema in WITHOUT_HISTORY)
    ]


def find_class(name):
    """The registered class of a name."""
    return getattr(importlib.import_module(registered_classes()[name]), name)


def own_arguments(function):
    """Parameters of a builder or of a class's own constructor, without `**kwargs`."""
    if inspect.isclass(function):
        function = vars(function).get("__init__", lambda: None)
    return {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    }


# === Other processes ===


def run_python(*arguments, check=True, python=sys.executable, **environment):
    """Runs Python in the checkout with a hard time limit.

    Args:
        *arguments: of the interpreter, such as `"-c"` and the code.
        check: bool. Fail if it fails.
        python: path of the interpreter. Defaults to this one.
        **environment: variables beside this process's own.
    """
    inherited = {**os.environ}
    inherited.pop("KERAS_RECS_WITHOUT_KERAS", None)  # `pipelines.prepare` sets it
    # JAX compiles each operation of each shape, which takes longer than to run it.
    inherited["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    done = subprocess.run(
        [str(python), *map(str, arguments)],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=180,
    )
    if check:
        assert done.returncode == 0, done.stderr[-4000:]
    return done


# === How to make and call a layer ===


@dataclasses.dataclass(frozen=True)
class LayerCase:
    """Constructor arguments, none with its default, and call arguments for a batch."""

    arguments: dict[str, Any]
    inputs: Callable[[int], dict[str, Any]]


def _rng(batch):
    return np.random.default_rng(batch)


def _floats(*shape):
    return lambda batch: {
        "inputs": _rng(batch).normal(size=(batch, *shape)).astype("float32")
    }


def _strings(batch):
    return np.resize(np.array(["ann", "", "zoe", "bob"]), batch)


def _rows(batch, high, *shape):
    """Row numbers that hold padding, and in any batch the first rows of a table."""
    rows = np.resize(np.arange(1, high), (batch, *shape))
    if shape:
        rows[:, -1] = 0
    return rows.astype("int32")


def _lookups(batch):
    return {
        "item": _rows(batch, 6),
        "tags": _rows(batch, 4, 3),
        "history": _rows(batch, 6, 4),
        "tag_weight": _floats(3)(batch)["inputs"],
    }


def _states_twice(batch):
    """What asks, what is asked and a mask: padding on the left, one of padding alone."""
    mask = np.resize([[False, True, True], [True] * 3, [False] * 3], (batch, 3))
    states = [_floats(3, 4)(batch + i)["inputs"][:batch] for i in range(2)]
    return {"inputs": [*states, mask]}


def _history(batch):
    """A candidate, events and a mask, some of which are padding."""
    mask = np.resize([[True] * 4, [False, True, True, False], [False] * 4], (batch, 4))
    parts = [_floats(3)(batch)["inputs"], _floats(4, 3)(batch + 1)["inputs"][:batch]]
    return {"inputs": [*parts, mask]}


def _steps(batch):
    """Steps, their weights and a mask."""
    _, steps, mask = _history(batch)["inputs"]
    return [steps, _rng(batch).uniform(size=mask.shape).astype("float32"), mask]


def _sessions(batch):
    """Steps, where sessions begin, a mask and the states of two layers."""
    steps = _floats(3, 3)(batch)["inputs"]
    starts = np.resize([[True, False, True], [False] * 3], (batch, 3))
    mask = np.resize([[True, True, False], [True] * 3, [False] * 3], (batch, 3))
    states = [_floats(n)(batch + n)["inputs"][:batch] for n in (5, 4)]
    return {"inputs": [steps, starts, mask, *states]}


def layer_cases(folder):
    """A case for each registered layer class, by name.

    Args:
        folder: where vocabulary files may be written.
    """
    from keras.initializers import GlorotNormal

    from keras_recs.layers import TableConfig
    from tests.samples import click_schema, write_vocabulary

    vocabulary = write_vocabulary(Path(folder) / "names.txt", ["ann", "bob"]).path
    tables = [TableConfig("item", 6, 4), TableConfig("tag", 5, 4)]
    features = {"item": "item", "tags": "tag", "history": "item"}

    def preprocessor_inputs(batch):
        lists = np.resize(np.array([["i1", "", "i3"], ["new", "i2", ""]]), (batch, 3))
        return {
            "inputs": {
                "user": _strings(batch),
                "item": _strings(batch),
                "genres": lists,
                "history": lists,
                "hour": np.resize(np.array([3, -1, 40]), batch),
                "price": np.resize(np.array([1.0, np.nan], "float32"), batch),
                "age": np.resize(np.array([20.0, np.nan], "float32"), batch),
            }
        }

    return {
        "BilinearFusion": LayerCase(
            {
                "units": 3,
                "num_heads": 2,
                "kernel_initializer": "glorot_normal",
                "kernel_regularizer": "l2",
            },
            lambda batch: {
                "inputs": [_floats(6)(batch)["inputs"], _floats(4)(batch)["inputs"]]
            },
        ),
        "AUGRU": LayerCase(
            {
                "units": 5,
                "kernel_initializer": "glorot_normal",
                "recurrent_initializer": "glorot_uniform",
            },
            lambda batch: {"inputs": _steps(batch)},
        ),
        "BilinearAttention": LayerCase(
            {"kernel_initializer": "glorot_normal"}, _history
        ),
        "Bucketize": LayerCase({"boundaries": (-0.5, 0.5), "default": 1.5}, _floats()),
        "CIN": LayerCase(
            {
                "layer_sizes": (4, 3),
                "split_half": True,
                "activation": "tanh",
                "kernel_initializer": "glorot_normal",
                "kernel_regularizer": "l2",
            },
            _floats(3, 4),
        ),
        "CrossLayer": LayerCase(
            {
                "projection_dim": 2,
                "num_experts": 3,
                "activation": "sigmoid",
                "kernel_initializer": "glorot_normal",
                "kernel_regularizer": "l2",
            },
            lambda batch: {
                "inputs": [
                    _floats(5)(batch)["inputs"],
                    _floats(5)(batch + 7)["inputs"][:batch],
                ]
            },
        ),
        "Dice": LayerCase(
            {"momentum": 0.8, "epsilon": 0.01, "alpha_initializer": "ones"},
            _floats(4, 3),
        ),
        "DotInteraction": LayerCase({}, _floats(4, 3)),
        "DownSamplingCorrection": LayerCase(
            {"rate": 0.25},
            lambda batch: {
                "inputs": _rng(batch).uniform(size=(batch, 1)).astype("float32")
            },
        ),
        # Called without `training`, it learns nothing; its learning has its own tests.
        "DynamicVocabulary": LayerCase(
            {
                "max_keys": 5,
                "admission_count": 2,
                "num_oov": 3,
                "map_size": 32,
                "expire_after": 9,
            },
            lambda batch: {
                "inputs": {"item": _rows(batch, 9), "history": _rows(batch, 9, 4)}
            },
        ),
        "CausalSelfAttention": LayerCase(
            {
                "num_heads": 2,
                "dropout": 0.25,
                "use_output_projection": True,
                "seed": 3,
            },
            _states_twice,
        ),
        "Experts": LayerCase(
            {
                "num_experts": 3,
                "hidden_units": (5, 4),
                "activation": "tanh",
                "dropout": 0.25,
                "kernel_regularizer": "l2",
                "seed": 3,
            },
            _floats(6),
        ),
        "ExpertGate": LayerCase(
            {"kernel_regularizer": "l2"},
            lambda batch: {
                "inputs": [
                    _floats(6)(batch)["inputs"],
                    _floats(3, 4)(batch + 1)["inputs"][:batch],
                ]
            },
        ),
        "ExtractionBlock": LayerCase(
            {
                "num_tasks": 2,
                "num_experts": (3, 1),
                "hidden_units": (5, 4),
                "is_last": True,
                "dropout": 0.25,
                "kernel_regularizer": "l2",
                "seed": 3,
            },
            _floats(3, 6),
        ),
        "FMInteraction": LayerCase({"keep_dim": True}, _floats(4, 3)),
        "FeatureEmbedding": LayerCase(
            {
                "tables": tables,
                "features": features,
                "combiners": {"tags": "sqrtn"},
                "value_weights": {"tags": "tag_weight"},
                "num_shards": 2,
                "embeddings_initializer": "glorot_normal",
                "embeddings_regularizer": "l2",
            },
            lambda batch: {"inputs": _lookups(batch)},
        ),
        "FeatureGate": LayerCase(
            {
                "hidden_units": (5, 4),
                "condition_dim": 3,
                "activation": "tanh",
                "kernel_regularizer": "l2",
            },
            _floats(6),
        ),
        "FieldAttention": LayerCase(
            {
                "num_heads": 3,
                "projection_dim": 2,
                "use_residual": False,
                "scaled": True,
                "activation": "tanh",
                "dropout": 0.25,
                "seed": 3,
            },
            _floats(4, 5),
        ),
        "HashKey": LayerCase({}, lambda batch: {"inputs": _strings(batch)}),
        "HashLookup": LayerCase(
            {"hash_bins": 7, "num_oov": 2}, lambda batch: {"inputs": _strings(batch)}
        ),
        "HashedCross": LayerCase(
            {"hash_bins": 7},
            lambda batch: {"inputs": [_strings(batch), np.arange(batch) - 1]},
        ),
        "IdentityLookup": LayerCase(
            {"vocabulary_size": 5, "num_oov": 2},
            lambda batch: {"inputs": np.resize(np.array([4, -1, 5, 0, -2]), batch)},
        ),
        "InterestExtractor": LayerCase(
            {"auxiliary_weight": 0.5},
            lambda batch: {"inputs": _steps(batch)[::2]},
        ),
        "AttributedItemTable": LayerCase(
            {
                "num_rows": 6,
                "embedding_dim": 4,
                "num_attributes": 3,
                "max_attributes": 2,
                "num_shards": 2,
                "initializer": "glorot_normal",
                "regularizer": "l2",
            },
            lambda batch: {"inputs": _rows(batch, 6, 4)},
        ),
        "ItemAttributes": LayerCase(
            {"num_rows": 6, "max_attributes": 2},
            lambda batch: {"inputs": _rows(batch, 6, 4)},
        ),
        "ItemTable": LayerCase(
            {
                "num_rows": 6,
                "embedding_dim": 4,
                "num_shards": 2,
                "initializer": "glorot_normal",
                "regularizer": "l2",
            },
            lambda batch: {"inputs": _rows(batch, 6, 4)},
        ),
        "LocalAttention": LayerCase(
            {
                "window": 1,
                "num_heads": 2,
                "dropout": 0.25,
                "use_output_projection": False,
                "seed": 3,
            },
            _states_twice,
        ),
        "MaskedSequenceHead": LayerCase(
            {"activation": "tanh", "epsilon": 1e-3}, _floats(3, 4)
        ),
        "PositionEmbedding": LayerCase(
            {"max_length": 5, "initializer": "glorot_normal", "regularizer": "l2"},
            _floats(3, 4),
        ),
        # Called with states, it carries nothing; that has its own tests.
        "SessionGRU": LayerCase(
            {
                "hidden_units": (5, 4),
                "reset_after": True,
                "dropout": 0.25,
                "num_slots": 2,
                "kernel_initializer": "glorot_normal",
                "recurrent_initializer": "glorot_uniform",
                "seed": 3,
            },
            _sessions,
        ),
        "TransformerBlock": LayerCase(
            {
                "num_heads": 2,
                "hidden_units": 6,
                "activation": "gelu",
                "dropout": 0.25,
                "wiring": "post",
                "sees": 2,
                "seed": 3,
            },
            lambda batch: {"inputs": _states_twice(batch)["inputs"][1:]},
        ),
        "LinearTerm": LayerCase(
            {
                "tables": tables,
                "features": features,
                "combiners": {"tags": "mean", "history": "sum"},
                "units": 2,
                "num_shards": 2,
                "kernel_regularizer": "l2",
                "value_weights": {"tags": "tag_weight"},
            },
            lambda batch: {
                "inputs": _lookups(batch),
                "numbers": _floats(3)(batch)["inputs"],
            },
        ),
        "MaskBlock": LayerCase(
            {
                "units": 5,
                "reduction_ratio": 1.5,
                "layer_norm": False,
                "activation": "tanh",
                "dropout": 0.25,
                "kernel_regularizer": "l2",
                "seed": 3,
            },
            lambda batch: {
                "inputs": _floats(3, 4)(batch)["inputs"],
                "hidden": _floats(6)(batch)["inputs"],
            },
        ),
        "MLP": LayerCase(
            {
                "hidden_units": (5, 4),
                "activation": "tanh",
                "batch_norm": True,
                "dropout": 0.25,
                "kernel_regularizer": "l2",
                "seed": 3,
            },
            _floats(6),
        ),
        "MultiGate": LayerCase(
            {"num_gates": 2, "kernel_regularizer": "l2"},
            lambda batch: {
                "inputs": [
                    _floats(6)(batch)["inputs"],
                    _floats(3, 4)(batch + 1)["inputs"][:batch],
                ]
            },
        ),
        "NumericEmbedding": LayerCase(
            {
                "embedding_dim": 4,
                "embeddings_initializer": "glorot_normal",
                "embeddings_regularizer": "l2",
            },
            _floats(3),
        ),
        "NumericTransform": LayerCase(
            {
                "log1p": True,
                "mean": 0.5,
                "std": 2.0,
                "default": 1.0,
                "quantiles": (-1.0, 0.0, 0.5),
            },
            _floats(),
        ),
        "PowerFeatures": LayerCase({}, _floats(3)),
        "PredictionHeads": LayerCase(
            {
                "tasks": {
                    "click": "binary",
                    "rating": "regression",
                    "watch": "watch_time",
                    "order": "binary",
                },
                "given": {"order": "click"},
                "kernel_regularizer": "l2",
            },
            lambda batch: {
                "inputs": [_floats(3)(batch)["inputs"], _floats(2)(batch)["inputs"]],
                "logits": [_floats(1)(batch)["inputs"], _floats(4)(batch)["inputs"]],
            },
        ),
        "SchemaPreprocessor": LayerCase(
            {"schema": click_schema(folder)}, preprocessor_inputs
        ),
        "StackedTables": LayerCase(
            {
                "num_rows": (6, 5),
                "embedding_dim": 4,
                "storage_dtype": "bfloat16",
                "num_shards": 2,
                "embeddings_initializers": ["glorot_normal", "ones"],
                "embeddings_regularizer": "l2",
            },
            lambda batch: {"inputs": _rows(batch, 11, 2)},
        ),
        "TargetAttention": LayerCase(
            {"hidden_units": (5,), "activation": "prelu", "use_softmax": True}, _history
        ),
        "TaskTowers": LayerCase(
            {
                "num_tasks": 3,
                "hidden_units": (5, 4),
                "activation": "tanh",
                "dropout": 0.25,
                "kernel_regularizer": "l2",
                "seed": 3,
            },
            _floats(3, 6),
        ),
        "TwoLevelTable": LayerCase(
            {
                "num_rows": 6,
                "embedding_dim": 4,
                "hot_rows": 3,
                "folder": str(Path(folder) / "two_level"),
                "embeddings_initializer": GlorotNormal(seed=1),
                "max_saved_bytes": 2**20,
            },
            lambda batch: {"inputs": _rows(batch, 6, 2)},
        ),
        "VectorCrossLayer": LayerCase(
            {"kernel_initializer": "glorot_normal", "kernel_regularizer": "l2"},
            lambda batch: {
                "inputs": [
                    _floats(5)(batch)["inputs"],
                    _floats(5)(batch + 7)["inputs"][:batch],
                ]
            },
        ),
        # Called without `training`, it draws nothing; its drawing has its own tests.
        "UniformNegatives": LayerCase(
            {"num_rows": 9, "first_row": 3, "seed": 4},
            lambda batch: {"inputs": _rows(batch, 9, 4)},
        ),
        "VocabularyLookup": LayerCase(
            {"vocabulary": vocabulary, "num_oov": 2},
            lambda batch: {"inputs": _strings(batch)},
        ),
    }


def call(layer, values):
    """Calls a layer with a case's call arguments."""
    values = dict(values)
    return layer(values.pop("inputs"), **values)


def symbolic(values, batch=None):
    """Keras inputs in the place of a case's arrays, and these by name."""
    import keras

    flat = {}

    def replace(array):
        name = f"in_{len(flat)}"
        dtype = "string" if array.dtype.kind == "U" else str(array.dtype)
        flat[name] = keras.Input(
            array.shape[1:], batch_size=batch, dtype=dtype, name=name
        )
        return flat[name]

    return keras.tree.map_structure(replace, values), flat


def tensors(values):
    """A case's arrays as TensorFlow tensors."""
    import keras
    import tensorflow as tf

    return keras.tree.map_structure(tf.constant, values)


def named(values):
    """A case's arrays by the names that `symbolic` gives."""
    import keras

    return {f"in_{i}": value for i, value in enumerate(keras.tree.flatten(values))}


def build(layer, values):
    """Builds a layer from shapes alone, as Keras does before the first call."""
    parts = shapes_of_arguments(values)
    if len(parts) == 1:
        layer.build(parts["inputs"])
    else:
        layer.build(**{f"{name}_shape": shape for name, shape in parts.items()})


def shapes_of_arguments(values):
    """Shapes of each call argument; a tuple is one shape, as in Keras."""

    def walk(value):
        if isinstance(value, dict):
            return {name: walk(part) for name, part in value.items()}
        if isinstance(value, list):
            return [walk(part) for part in value]
        return (None, *value.shape[1:])

    return walk(values)


def functional(layer, values, batch=None):
    """A functional model of one layer, with a dict of inputs and a list of outputs."""
    import keras

    arguments, flat = symbolic(values, batch)
    return keras.Model(flat, keras.tree.flatten(call(layer, arguments)))


# === How to make and call a model ===


def model_schemas(folder):
    """Schemas by name on which every builder must work."""
    from keras_recs import (
        CategoricalFeature,
        Label,
        MultiValuedFeature,
        Schema,
        SequenceFeature,
    )
    from tests.samples import click_schema

    return {
        "every kind of feature, two labels": click_schema(folder),
        "every kind of feature, one label": click_schema(folder, [Label("click")]),
        "no numbers": Schema(
            features=[
                CategoricalFeature("user", vocabulary_size=5),
                CategoricalFeature("item", hash_bins=6),
            ],
            labels=[
                Label("rating", task="regression"),
                Label("click"),
                Label("buy"),
                Label("watch", task="watch_time"),
            ],
        ),
        "weights of values": Schema(
            features=[
                CategoricalFeature("user", vocabulary_size=5),
                MultiValuedFeature("mean", hash_bins=6, weights="w"),
                MultiValuedFeature("sum", hash_bins=6, weights="x", combiner="sum"),
                MultiValuedFeature("sqrtn", table="sum", weights="y", combiner="sqrtn"),
            ],
            labels=[Label("click")],
        ),
        # Items and their categories, items once more, and words without a candidate.
        "histories": Schema(
            features=[
                SequenceFeature("seen", table="item", max_length=4, padding="left"),
                CategoricalFeature("shop", vocabulary_size=3),
                SequenceFeature("kinds", table="kind", max_length=4, padding="left"),
                SequenceFeature("bought", table="item", max_length=4, padding="left"),
                CategoricalFeature("item", vocabulary_size=7, num_oov=2),
                CategoricalFeature("kind", hash_bins=4),
                SequenceFeature("words", hash_bins=5, max_length=3, combiner="sum"),
            ],
            labels=[Label("click"), Label("rating", task="regression")],
        ),
    }


def needs(name, argument):
    """What an argument of a builder does nothing without."""
    return NEEDS.get((name, argument), NEEDS.get(argument, {}))


def suited(name, schema):
    """A schema with what a builder needs beside features: for ESMM a funnel."""
    from keras_recs import Label

    clicks = [label.name for label in schema.labels if label.task == "binary"]
    if name != "esmm" or schema.given or not clicks:
        return schema
    labels = [*schema.labels, Label("order", given=clicks[0])]
    return dataclasses.replace(schema, labels=labels)


def output_names(name, schema):
    """The outputs of a builder's model."""
    found = list(schema.label_names)
    if name == "esmm":
        found += [f"{label}_given_{other}" for label, other in schema.given.items()]
    return found


def build_model(name, schema, **arguments):
    """A small model of a builder; `arguments` beside the sizes."""
    schema = suited(name, schema)
    builder = getattr(importlib.import_module("keras_recs.models"), name)
    known = own_arguments(builder)
    sizes = {size: SMALL_ARGUMENTS[size] for size in SIZES if size in known}
    return builder(schema, **{**sizes, **arguments})


def other_argument(name, argument):
    """Neither a builder's default nor what `build_model` gives it: sizes are doubled."""
    value = OTHER_ARGUMENTS.get((name, argument), SMALL_ARGUMENTS[argument])
    if argument in SIZES:
        return tuple(2 * u for u in value) if isinstance(value, tuple) else 2 * value
    return value() if callable(value) else value


def model_inputs(schema, batch, seed=0):
    """Model inputs as the preprocessing makes them, with padding in the lists."""
    from keras_recs import MultiValuedFeature, SequenceFeature

    rng = np.random.default_rng(seed)
    inputs = {}
    numbers = {feature.name for feature in schema.numeric_features}
    for feature in schema.features:
        if feature.name in numbers:
            inputs[feature.name] = rng.normal(size=batch).astype("float32")
            continue
        rows = schema.tables[feature.table_name].num_rows
        if isinstance(feature, (MultiValuedFeature, SequenceFeature)):
            length = feature.max_length or 4
            values = rng.integers(1, rows, (batch, length))
            filled = rng.integers(0, length + 1, (batch, 1))
            values[np.arange(length)[None] >= filled] = 0
        else:
            values = rng.integers(1, rows, batch)
        inputs[feature.name] = values.astype("int32")
        if feature.name in schema.value_weights:
            # At the padding too, where a weight says nothing.
            weights = rng.uniform(0.1, 2, values.shape).astype("float32")
            inputs[schema.value_weights[feature.name]] = weights
    return inputs


def model_labels(schema, batch, seed=0):
    """Labels `(B, 1)` by name; both classes where there are two examples or more."""
    rng = np.random.default_rng(seed)
    labels = {}
    for label in schema.labels:
        values = rng.normal(size=(batch, 1))
        if label.task == "binary":
            values = (np.arange(batch)[:, None] + rng.integers(2)) % 2
        elif label.task == "watch_time":
            values = 9 * np.maximum(values, 0)
        labels[label.name] = values.astype("float32")
    for label, other in schema.given.items():
        labels[label] *= labels[other]
    return labels


def losses(schema):
    """Loss by label, for `compile`."""
    from keras_recs.losses import losses_of

    return losses_of(schema)


def gradients(model, outputs_of, loss_of):
    """Gradients by weight path, raw: an `IndexedSlices` stays one."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = loss_of(outputs_of())
    weights = model.trainable_weights
    found = tape.gradient(loss, [weight.value for weight in weights])
    return {weight.path: gradient for weight, gradient in zip(weights, found)}


def square_loss(outputs):
    """A loss of any outputs whose gradient is zero nowhere but by accident."""
    import keras
    import tensorflow as tf

    parts = [
        tf.reduce_mean(tf.square(tf.cast(output, tf.float32) - 0.3))
        for output in keras.tree.flatten(outputs)
    ]
    return tf.add_n(parts)


def values_of(gradient):
    """A gradient as an array: the rows of an `IndexedSlices`."""
    return np.asarray(getattr(gradient, "values", gradient), "float32")
