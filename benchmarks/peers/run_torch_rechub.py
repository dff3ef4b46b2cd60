"""torch-rechub: its models, or models of its layers, in its trainer's step.

Its tables give dense gradients and it has no other; its trainer is a plain step with
`torch.optim`, which is driven here without its progress bar. It has no layer of dot
products. Where a factorization machine reads numbers, each number times a vector of its
own is one more field of it and of the MLP, as in keras_recs.
"""

import peer_torch
from models_torch_rechub import MODELS
from peer_run import Clock, read_spec, versions_of


def main() -> None:
    """Runs one cell."""
    spec = read_spec(models=MODELS)
    peer_torch.start(spec)
    inputs, labels = peer_torch.make_inputs(spec), peer_torch.make_labels(spec)
    clock = Clock(spec)
    model = MODELS[spec.model](spec)
    optimizer = peer_torch.adagrad(model.parameters())
    peer_torch.train(clock, model, optimizer, inputs, labels, model.loss)
    clock.report(
        parameters=peer_torch.count(model),
        versions=versions_of("torch", "torch-rechub", "numpy"),
        optimizer="torch.optim.Adagrad (fused), dense gradients of the tables",
    )


if __name__ == "__main__":
    main()
