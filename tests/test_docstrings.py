"""Examples of docstrings run, and the defaults they name are those of the code."""

import ast
import doctest
import importlib
import inspect
import re
import sys

import pytest

from tests.harness import LIBRARY, module_name

MODULES = [
    module_name(path)
    for path in sorted(LIBRARY.rglob("*.py"))
    if path.name != "__init__.py"
]


def globals_of_examples():
    import keras
    import numpy as np

    import keras_recs

    return {"np": np, "keras": keras, "keras_recs": keras_recs}


def load(name):
    importlib.import_module(name)
    return sys.modules[name]  # a function may hide the module of its name


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = load(name)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    finder = doctest.DocTestFinder(exclude_empty=True)
    report = []
    names = {**vars(module), **globals_of_examples()}
    for test in finder.find(module, name, globs=names):
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def arguments_section(text):
    """Text of each argument that the `Args:` section describes."""
    section = re.search(r"^(?:Args|Attributes):\n(.*?)(?=^\S|\Z)", text, re.S | re.M)
    found = {}
    if section is None:
        return found
    for item in re.split(r"\n(?= {4}[\w*])", section[1].rstrip()):
        names, _, description = item.strip().partition(":")
        for name in names.replace("*", "").split(","):
            found[name.strip()] = " ".join(description.split())
    return found


def documented():
    """Public callables of the modules that have an `Args:` section."""
    for name in MODULES:
        module = load(name)
        for symbol, value in vars(module).items():
            if symbol.startswith("_") or getattr(value, "__module__", "") != name:
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                yield value
            if inspect.isclass(value):
                for method in vars(value).values():
                    method = getattr(method, "__func__", method)
                    if inspect.isfunction(method) and not method.__name__.startswith(
                        "_"
                    ):
                        yield method


def test_documented_defaults_equal_the_signature():
    wrong, checked = [], 0
    for value in documented():
        described = arguments_section(inspect.getdoc(value) or "")
        try:
            parameters = inspect.signature(value).parameters
        except ValueError:
            continue
        for name, text in described.items():
            where = f"{value.__module__}.{value.__qualname__}({name})"
            if name not in parameters:
                known = inspect.isclass(value) and hasattr(value, name)
                if not known:
                    wrong.append(f"{where}: no such argument")
                continue
            match = re.search(r"Defaults\s+to\s+`([^`]+)`", text)
            if match is None:
                continue
            checked += 1
            try:
                default = ast.literal_eval(match[1])
            except (ValueError, SyntaxError):
                wrong.append(f"{where}: {match[1]} is no literal")
                continue
            if parameters[name].default != default:
                wrong.append(
                    f"{where}: says {default!r}, is {parameters[name].default!r}"
                )
    assert not wrong, "\n".join(wrong)
    assert checked > 60


def test_every_argument_is_described():
    """Of what the packages offer."""
    import keras_recs

    missing = []
    for package in (
        "data",
        "evaluation",
        "layers",
        "metrics",
        "models",
        "preprocessing",
        "training",
        "tuning",
    ):
        module = getattr(keras_recs, package)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and "__init__" not in vars(value):
                continue
            parameters = inspect.signature(value).parameters.values()
            names = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD}
            described = arguments_section(inspect.getdoc(value) or "")
            missing += [
                f"{package}.{name}({n})" for n in sorted(names - set(described))
            ]
    assert not missing
