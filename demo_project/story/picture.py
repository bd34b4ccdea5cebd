"""The training curve of pair 8 as a picture."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from story.history import Record

__all__ = ["draw", "plot"]


def draw(history: list[Record]) -> Figure:
    """Return a figure of loss, parameters and momentum over the steps, one below the other.

    The figure is built from objects, without `pyplot`, which would keep a current figure in hidden
    state.
    """
    figure = Figure(figsize=(7, 8), layout="constrained")
    FigureCanvasAgg(figure)
    loss, params, momentum = figure.subplots(3, 1, sharex=True)
    steps = range(1, len(history) + 1)
    loss.semilogy(steps, [r.loss for r in history], color="black")
    loss.set(title="y = 3x + 1, full batch, sgd(0.1, momentum=0.9)", ylabel="loss")
    params.plot(steps, [r.w for r in history], label="w")
    params.plot(steps, [r.b for r in history], label="b")
    params.axhline(3, color="gray", linestyle=":")
    params.axhline(1, color="gray", linestyle=":")
    params.set(ylabel="parameter")
    momentum.plot(steps, [r.momentum_w for r in history], label="momentum of w")
    momentum.plot(steps, [r.momentum_b for r in history], label="momentum of b")
    momentum.set(ylabel="momentum", xlabel="step")
    params.legend()
    momentum.legend()
    return figure


def plot(history: list[Record], path: Path) -> Path:
    """Draw the figure into a PNG, and return its absolute path."""
    figure = draw(history)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path.resolve()
