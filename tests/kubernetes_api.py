"""Manifests against the published models of Kubernetes and Kubeflow, strictly."""

import json
import re

import yaml
from kubeflow.training import models

PORT = 2222  # which the training operator gives a container that names none
_PLAIN = {"str": str, "int": int, "bool": bool, "float": float, "object": object}


def read_manifests(path):
    """The objects of a YAML file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def check(value, kind, where=""):
    """Checks a value of a manifest, and all in it, against its published type.

    Args:
        value: what YAML holds.
        kind: string. Name of the type, as the models write it: `"V1Container"`,
            `"list[str]"`, `"dict(str, V1Volume)"`, …
        where: string. What to call the value in errors.

    Returns:
        Object of the model class, or the value where it has none.

    Raises:
        TypeError: for a value of another type.
        ValueError: for an unknown key, or a required one that is missing.
    """
    if match := re.fullmatch(r"list\[(.+)\]", kind):
        _require(value, list, where)
        return [check(v, match[1], f"{where}[{i}]") for i, v in enumerate(value)]
    if match := re.fullmatch(r"dict\(str, (.+)\)", kind):
        _require(value, dict, where)
        for key in value:
            _require(key, str, f"a key of {where}")
        return {k: check(v, match[1], f"{where}.{k}") for k, v in value.items()}
    if kind in _PLAIN:
        _require(value, _PLAIN[kind], where)
        return value
    return _check_object(value, getattr(models, kind), where)


def _check_object(value, model, where):
    _require(value, dict, where)
    attributes = {key: name for name, key in model.attribute_map.items()}
    arguments = {}
    for key, item in value.items():
        if key not in attributes:
            known = sorted(attributes)
            raise ValueError(f"{where}: unknown key '{key}'; known are {known}")
        name = attributes[key]
        arguments[name] = check(item, model.openapi_types[name], f"{where}.{key}")
    try:
        return model(**arguments)
    except ValueError as error:  # a required one is missing
        raise ValueError(f"{where}: {error}") from None


def _require(value, kind, where):
    fits = isinstance(value, kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{where}: must be {kind.__name__}. Received: {value!r}")


def tf_config(job, replica, index, namespace="recs"):
    """`TF_CONFIG` as the training operator writes it for a process of a TFJob."""
    cluster = {}
    for kind, spec in job["spec"]["tfReplicaSpecs"].items():
        cluster[kind.lower()] = [
            f"{job['metadata']['name']}-{kind.lower()}-{i}.{namespace}.svc:{_port(spec)}"
            for i in range(spec.get("replicas", 1))
        ]
    task = {"type": replica.lower(), "index": index}
    return json.dumps({"cluster": cluster, "task": task, "environment": "cloud"})


def _port(spec):
    for container in spec["template"]["spec"]["containers"]:
        for port in container.get("ports", ()):
            if container["name"] == "tensorflow" and port["name"] == "tfjob-port":
                return port["containerPort"]
    return PORT
