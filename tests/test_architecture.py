"""Who may import whom, and what the library must not contain; on the source."""

import ast
import configparser
import functools
import io
import re
import sys
import tokenize
from pathlib import Path

import pytest
import setuptools

from tests.harness import (
    LIBRARY,
    ROOT,
    builders,
    module_name,
    registered_classes,
    run_python,
)

# What a part of keras_recs may import of it, beside itself. `copies_of`, `register` and
# `schema` are the base; layers take plain values, so they may read the constants of `schema` alone.
BASE = {"copies_of", "register", "schema", "version"}
LEAVES = {"copies_of", "register"}
ALLOWED = {
    "schema": set(),
    "copies_of": set(),
    "register": set(),
    "version": set(),
    "preprocessing": BASE,
    "data": BASE | {"preprocessing"},
    "layers": LEAVES,
    "losses": LEAVES,
    "metrics": LEAVES,
    "optimizers": LEAVES,
    "models": BASE | {"layers", "losses"},
    "evaluation": BASE
    | {"data", "layers", "losses", "metrics", "models", "optimizers", "preprocessing"},
}
EVERYTHING = {"training", "export", "tuning", "interop"}
KERAS_ONLY = {"layers", "losses", "metrics", "optimizers", "models"}
PROGRAMS = ("pipelines", "serving")


def python_files(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@functools.cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path):
    """Pairs of an imported dotted name and whether it is imported with the module."""
    module = module_name(path).split(".")
    found = []

    def walk(node, top):
        for child in ast.iter_child_nodes(node):
            inner = top and not isinstance(
                child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
            )
            if isinstance(child, ast.Import):
                found.extend((alias.name, top) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    package = module if path.name == "__init__.py" else module[:-1]
                    parts = package[: len(package) - child.level + 1]
                    base = ".".join([*parts, *([base] if base else [])])
                found.extend((f"{base}.{alias.name}", top) for alias in child.names)
            walk(child, inner)

    walk(tree(path), True)
    return found


def part(path):
    """The part of keras_recs that a file belongs to."""
    return path.relative_to(LIBRARY).with_suffix("").parts[0]


LIBRARY_FILES = [p for p in python_files("keras_recs") if p != LIBRARY / "__init__.py"]


def identify(path):
    return str(path.relative_to(ROOT))


# === Import directions ===


@pytest.mark.parametrize("path", LIBRARY_FILES, ids=identify)
def test_imports_inside_the_library_go_one_way(path):
    own = part(path)
    if own in EVERYTHING:
        return
    assert own in ALLOWED, f"say in tests/test_architecture.py what {own} may import"
    for name, _ in imports(path):
        parts = name.split(".")
        if parts[0] != "keras_recs" or len(parts) < 2 or parts[1] == own:
            continue
        if own in KERAS_ONLY - {"models"} and parts[1] == "schema":
            constant = parts[-1]
            assert constant.isupper(), f"{own} takes plain values, not {constant}"
            continue
        assert parts[1] in ALLOWED[own], f"{own} must not import {name}"


@pytest.mark.parametrize("path", LIBRARY_FILES, ids=identify)
def test_keras_parts_import_keras_and_numpy_with_the_module(path):
    """TensorFlow inside a function, for the fast path, and nothing else at all."""
    if part(path) not in KERAS_ONLY:
        return
    for name, at_import in imports(path):
        package = name.split(".")[0]
        allowed = {"keras", "keras_recs", "numpy", *sys.stdlib_module_names}
        if not at_import:
            allowed.add("tensorflow")
        assert package in allowed, name


@pytest.mark.parametrize("name", ["schema.py", "register.py", "version.py"])
def test_the_base_is_light(name):
    packages = {n.split(".")[0] for n, _ in imports(LIBRARY / name)}
    assert packages - {"keras"} <= set(sys.stdlib_module_names)
    assert "keras" not in packages or name == "register.py"


def test_tensorflow_is_imported_when_it_is_used():
    """With the module only in files that their package imports when they are used."""
    for path in LIBRARY_FILES:
        packages = {name.split(".")[0] for name, top in imports(path) if top}
        if "tensorflow" in packages:
            assert part(path) in ("preprocessing", "export", "interop"), identify(path)
            assert path.name != "__init__.py", identify(path)


def test_programs_and_library():
    for path in python_files("keras_recs"):
        for name, _ in imports(path):
            assert name.split(".")[0] not in (*PROGRAMS, "tests", "benchmarks"), (
                identify(path)
            )
    for folder, other in (PROGRAMS, PROGRAMS[::-1]):
        for path in python_files(folder):
            packages = {name.split(".")[0] for name, _ in imports(path)}
            assert other not in packages, (
                f"only files pass between them: {identify(path)}"
            )
            assert "tests" not in packages, identify(path)


def test_names_of_others_are_not_private():
    """A leading underscore stays in its file."""
    for path in python_files("keras_recs", *PROGRAMS):
        for name, _ in imports(path):
            if name.split(".")[0] in ("keras_recs", *PROGRAMS):
                last = name.split(".")[-1]
                assert not last.startswith("_") or last.startswith("__"), (
                    f"{identify(path)}: {name}"
                )


# === What must not be there ===

MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
CALLS = {"eval", "exec", "compile", "__import__", "print", "input", "breakpoint"}


@pytest.mark.parametrize("path", python_files("keras_recs"), ids=identify)
def test_forbidden_constructs(path):
    for name, _ in imports(path):
        assert name.split(".")[0] not in MODULES, name
    for node in ast.walk(tree(path)):
        where = f"{identify(path)}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.Assert), f"raise an error instead: {where}"
        if isinstance(node, ast.Attribute):
            assert node.attr != "Lambda", where
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else None
            assert called not in CALLS, f"{called} {where}"
            for keyword in node.keywords:
                true = (
                    isinstance(keyword.value, ast.Constant)
                    and keyword.value.value is True
                )
                assert not (keyword.arg == "allow_pickle" and true), where
                assert keyword.arg != "custom_objects", where


@pytest.mark.parametrize(
    "path", python_files("keras_recs", *PROGRAMS, "tests"), ids=identify
)
def test_comments_and_text(path):
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            todo = re.search(r"\b(TODO|FIXME|XXX|HACK)\b", token.string)
            assert not todo, f"{identify(path)}:{token.start[0]}"
    # Paths of somebody's machine.
    machine = r"[\"' `=](/(root|work|Users|content)/|/home/|C:\\\\)"
    assert not re.search(machine, source), identify(path)


# === Files and names ===


def snake_case(name):
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return words.lower()


def public_definitions(path):
    return [
        node
        for node in tree(path).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
    ]


def test_every_builder_is_listed():
    """In `keras_recs.models.BUILDERS`, which programs, searches and tests go by."""
    files = (LIBRARY / "models").glob("*.py")
    returns = re.compile(r"^    return keras\.Model\(", re.MULTILINE)  # of a function
    found = {path.stem for path in files if returns.search(path.read_text())}
    assert found == set(builders())


@pytest.mark.parametrize(
    "package",
    sorted(p for p in LIBRARY.iterdir() if (p / "__init__.py").exists()),
    ids=lambda p: p.name,
)
def test_each_offered_symbol_has_a_file_of_its_name(package):
    offered = next(
        ast.unparse(node.value)
        for node in tree(package / "__init__.py").body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    names = set(re.findall(r"'(\w+)'", offered))
    lazy = re.findall(
        r'"(\w+)": "(\w+)"', (package / "__init__.py").read_text(encoding="utf-8")
    )
    names |= {name for name, _ in lazy}
    assert names
    for name in names:
        files = list(package.rglob(f"{snake_case(name)}.py"))
        assert files, f"{name} must be in {snake_case(name)}.py"
        definitions = [node.name for path in files for node in public_definitions(path)]
        assert name in definitions
        others = names & set(definitions) - {name}
        assert not others, f"{others} must have files of their own"


@pytest.mark.parametrize("path", python_files("keras_recs", "pipelines"), ids=identify)
def test_everything_public_has_a_docstring(path):
    assert ast.get_docstring(tree(path)), "the module"
    for node in public_definitions(path):
        assert ast.get_docstring(node), node.name
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and not member.name.startswith(
                    "_"
                ):
                    assert ast.get_docstring(member), f"{node.name}.{member.name}"


def test_the_wheel_holds_the_library_alone():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    include = config["options.packages.find"]["include"].split()
    found = set(setuptools.find_packages(str(ROOT), include=include))
    folders = {
        module_name(path / "__init__.py")
        for path in {p.parent for p in python_files("keras_recs")}
    }
    assert found == folders, "each folder needs an __init__.py"
    assert config["metadata"]["version"] == "attr: keras_recs.version.__version__"


# === What importing does ===


def test_importing_registers_what_saved_models_hold():
    """But layers of raw values, and what training wraps around a model."""
    packages = {module.split(".")[1] for module in registered_classes().values()}
    names = {name for name, _ in imports(LIBRARY / "__init__.py")}
    imported = {name.split(".")[1] for name in names if name.count(".") == 1}
    assert packages - imported <= {"preprocessing", "training"}
    assert "models" in packages & imported


LIGHT = """
import logging, os, sys, threading
handlers, environment = list(logging.root.handlers), dict(os.environ)
import keras_recs
if os.path.isdir("/proc/self/task") and len(os.listdir("/proc/self/task")) > 1:
    sys.exit("a native thread was started")
import keras_recs.data
import keras_recs.preprocessing
heavy = {"tensorflow", "keras", "torch", "jax", "matplotlib"} & set(sys.modules)
if heavy: sys.exit(f"imported: {heavy}")
if threading.active_count() > 1: sys.exit("a thread was started")
if logging.root.handlers != handlers or dict(os.environ) != environment:
    sys.exit("logging or the environment changed")
"""


def test_importing_is_light():
    """As a program that only reads raw data imports it."""
    run_python("-c", LIGHT, KERAS_RECS_WITHOUT_KERAS="1")


WITHOUT_TENSORFLOW = """
import importlib, pkgutil, sys
import numpy as np
import keras
import keras_recs, keras_recs.data, keras_recs.evaluation, keras_recs.training
for package in ("layers", "losses", "metrics", "models"):
    package = importlib.import_module(f"keras_recs.{package}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
from pathlib import Path
from tests import harness
schema = harness.model_schemas(Path(sys.argv[1]))["every kind of feature, two labels"]
for name in harness.builders():
    model = harness.build_model(name, schema)
    with np.load(f"{sys.argv[1]}/{name}.npz") as stored:
        weights = [stored[key] for key in sorted(stored.files) if key[0] == "w"]
        model.set_weights(weights)
        outputs = model.predict_on_batch(harness.model_inputs(schema, 5))
        for label, values in outputs.items():
            np.testing.assert_allclose(values, stored[label], rtol=1e-4, atol=1e-6)
    model.compile("adam", loss=harness.losses(schema))
    data = harness.model_inputs(schema, 8), harness.model_labels(schema, 8)
    losses = model.fit(*data, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
assert keras.backend.backend() == sys.argv[2]
assert "tensorflow" not in sys.modules
"""


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_models_work_where_tensorflow_is_absent(backend, tmp_path):
    """With the weights of TensorFlow's models they give its numbers."""
    import numpy as np

    from tests import harness

    python = harness.ROOT / ".venv-backends" / "bin" / "python"
    if not python.exists():
        pytest.skip("`make test-backends` builds the environment")

    schema = harness.model_schemas(tmp_path)["every kind of feature, two labels"]
    for name in harness.builders():
        model = harness.build_model(name, schema)
        weights = {f"w{i:03}": np.asarray(w) for i, w in enumerate(model.get_weights())}
        outputs = model.predict_on_batch(harness.model_inputs(schema, 5))
        np.savez(Path(tmp_path) / f"{name}.npz", **weights, **outputs)
    run_python(
        "-c",
        WITHOUT_TENSORFLOW,
        tmp_path,
        backend,
        python=python,
        KERAS_BACKEND=backend,
    )
