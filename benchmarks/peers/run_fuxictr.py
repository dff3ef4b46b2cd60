"""FuxiCTR: models of its layers, in its step.

The wheel holds the layers only, so the models are put together from them. The step is
that of its `train_step` without the clipping of the gradient's norm, which no other
peer does.
"""

import peer_torch
from models_fuxictr import MODELS
from peer_run import Clock, read_spec, versions_of

WHY_NOT = {
    "masknet": "no mask block in its wheel",
    "finalmlp": "no fusion of two streams in its wheel",
    "dien": "no recurrent layer in its wheel",
}


def main() -> None:
    """Runs one cell."""
    spec = read_spec(models=MODELS, why_not=WHY_NOT)
    peer_torch.start(spec)
    inputs, labels = peer_torch.make_inputs(spec), peer_torch.make_labels(spec)
    clock = Clock(spec)
    model = MODELS[spec.model](spec)
    optimizer = peer_torch.adagrad([p for p in model.parameters() if p.requires_grad])
    peer_torch.train(clock, model, optimizer, inputs, labels)
    clock.report(
        parameters=peer_torch.count(model),
        versions=versions_of("torch", "fuxictr", "numpy"),
        optimizer="torch.optim.Adagrad (fused), dense gradients of the tables",
    )


if __name__ == "__main__":
    main()
