"""Which signatures an export has."""

from __future__ import annotations

import dataclasses
from typing import Literal

from keras_recs.export.recommending import Recommending
from keras_recs.schema import Schema


@dataclasses.dataclass(frozen=True)
class PlannedSignature:
    """One signature of an export.

    Attributes:
        key: string. The name under which it is called.
        method: `"predict"`, `"classify"` or `"regress"`.
        examples_input: string. Name of the input that takes serialized
            `tf.train.Example`s; `None` for named raw features.
        label: string. The label that it answers; `None` for all outputs.
        answer: `"recommend"` or `"embed"`, of a model of sequences.
    """

    key: str
    method: Literal["predict", "classify", "regress"]
    examples_input: str | None = None
    label: str | None = None
    answer: Literal["recommend", "embed"] | None = None

    @property
    def method_name(self) -> str:
        """What TF Serving expects in the SignatureDef."""
        return f"tensorflow/serving/{self.method}"


def signature_plan(
    schema: Schema, recommending: Recommending | None = None
) -> list[PlannedSignature]:
    """The signatures that an export of a schema has, or one that recommends.

    `classify` answers the first binary label and `classify_<label>` each further one;
    `regress` and `regress_<label>` the regression labels and watch times or, where
    there are none, the probabilities of the binary ones.
    """
    if recommending is not None:
        return [
            PlannedSignature("serving_default", "predict", answer="recommend"),
            PlannedSignature("recommend", "predict", answer="recommend"),
            PlannedSignature("embed_query", "predict", answer="embed"),
            PlannedSignature(
                "serve_tf_example", "predict", "examples", answer="recommend"
            ),
        ]
    plan = [
        PlannedSignature("serving_default", "predict"),
        PlannedSignature("serve_tf_example", "predict", "examples"),
    ]
    binary = [label.name for label in schema.labels if label.task == "binary"]
    values = [label.name for label in schema.labels if label.task != "binary"]
    for number, label in enumerate(binary):
        key = f"classify_{label}" if number else "classify"
        plan.append(PlannedSignature(key, "classify", "inputs", label))
    for number, label in enumerate(values or binary):
        key = f"regress_{label}" if number else "regress"
        plan.append(PlannedSignature(key, "regress", "inputs", label))
    return plan
