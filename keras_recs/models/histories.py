"""Which features are histories, and what these are held against."""

import dataclasses

from keras import ops

from keras_recs.schema import MultiValuedFeature, SequenceFeature


@dataclasses.dataclass(frozen=True)
class History:
    """Sequence features that tell of the same events, one attribute each.

    Attributes:
        sequences: names of the sequence features.
        targets: names of the single-valued features that they are held against, one a
            sequence: the same attributes of the candidate.
    """

    sequences: tuple[str, ...]
    targets: tuple[str, ...]


def find_histories(schema, model, targets=None):
    """Pairs sequences with single-valued features, and sequences with each other.

    A sequence is held against the single-valued feature of its table: the one of the
    table's name or else the first. One without is in no history. Sequences of one
    length and padding are attributes of the same events; where a target comes a second
    time, another history begins, in the order of the schema.

    Args:
        schema: a fitted `keras_recs.Schema`.
        model: string. Name of the model, for messages.
        targets: dict of sequence feature to single-valued feature, where it should be
            another, or to `None` for a sequence that is in no history. Defaults to
            `None`.

    Returns:
        list of `History`, at least one.

    Raises:
        ValueError: for a schema without a history, and for `targets` that are no
            such features.
    """
    several = (MultiValuedFeature, SequenceFeature)
    single = {
        feature.name: feature.table_name
        for feature in schema.id_features
        if not isinstance(feature, several)
    }
    targets = {} if targets is None else targets
    _check_targets(schema, targets, single)
    open_ones: dict[tuple, list] = {}
    histories: list[list] = []
    for feature in schema.sequence_features:
        users = [name for name, table in single.items() if table == feature.table_name]
        if feature.table_name in users:
            users = [feature.table_name]
        target = targets.get(feature.name, users[0] if users else None)
        if target is None:
            continue
        kind = (feature.max_length, feature.padding)
        mine = open_ones.get(kind)
        if mine is None or any(target == other for _, other in mine):
            mine = open_ones[kind] = []
            histories.append(mine)
        mine.append((feature.name, target))
    if not histories:
        found = [feature.name for feature in schema.sequence_features]
        raise ValueError(
            f"{model} needs a history: a sequence feature that shares its table with a "
            "single-valued feature, the candidate. Declare one, such as "
            "SequenceFeature('history', table='item') beside CategoricalFeature('item')"
            ", or pair features by `targets`. Received: a schema with the sequence "
            f"features {found} and the single-valued features {list(single)}, "
            f"targets={targets}"
        )
    return [History(*map(tuple, zip(*pairs, strict=True))) for pairs in histories]


def keep_sequences(arguments, histories):
    """Arguments of `FeatureEmbedding` that leave the histories unpooled."""
    unpooled = {name for history in histories for name in history.sequences}
    combiners = {
        name: combiner
        for name, combiner in arguments["combiners"].items()
        if name not in unpooled
    }
    return {**arguments, "combiners": combiners}


def candidate_of(history, fields, field_names):
    """Embeddings of a history's targets side by side.

    Args:
        history: `History`.
        fields: symbolic `(B, F, D)`.
        field_names: names along axis 1.

    Returns:
        Symbolic `(B, n·D)` for n attributes.
    """
    places = [field_names.index(name) for name in history.targets]
    chosen = ops.take(fields, places, axis=1)  # (B, n, D)
    return ops.reshape(chosen, (-1, len(places) * fields.shape[-1]))


def events_of(names, sequences):
    """Embeddings of the attributes of each event side by side: `(B, T, n·D)`."""
    parts = [sequences[name] for name in names]
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)


def mask_of(history, rows):
    """Where an event is there, bool `(B, T)`: any of its attributes is not padding."""
    mask = ops.not_equal(rows[history.sequences[0]], 0)
    for name in history.sequences[1:]:
        mask = ops.logical_or(mask, ops.not_equal(rows[name], 0))
    return mask


def _check_targets(schema, targets, single):
    if not isinstance(targets, dict):
        raise ValueError(
            "`targets` must be a dict of sequence feature to single-valued feature. "
            f"Received: targets={targets!r}"
        )
    sequences = [feature.name for feature in schema.sequence_features]
    unknown = sorted(set(targets) - set(sequences))
    if unknown:
        raise ValueError(
            "`targets` must name sequence features of the schema as keys. Received: "
            f"{unknown}; there are {sequences}"
        )
    for sequence, target in targets.items():
        if target is not None and target not in single:
            raise ValueError(
                f"Feature '{sequence}': its entry in `targets` must be a single-valued "
                f"categorical feature or None. Received: {target!r}; there are "
                f"{list(single)}"
            )
