"""What each model over histories is trained with."""

# λ of λ/2·‖W‖² over the table, and what else is a model's own (Adam's rate is 1e-3
# where it has none).
SETTINGS: dict[str, dict[str, tuple[float, dict]]] = {
    "beauty": {
        "pooled": (1e-2, {}),
        "din": (1.5e-2, {"use_softmax": True}),
        "dien": (3e-2, {}),
        "dien_with_mean": (2e-2, {"auxiliary_weight": 0.1}),
    },
    "ml-1m": {
        "pooled": (1e-2, {}),
        "din": (4e-3, {"use_softmax": True}),
        "dien": (1e-2, {}),
        "dien_with_mean": (1e-2, {"auxiliary_weight": 0.1, "learning_rate": 2e-4}),
    },
}
