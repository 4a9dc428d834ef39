"""What takes long, and is done once: a run that was cut off remembers it."""

import threading
from collections.abc import Callable

from recipes.lab.training.progress import Progress


def once(
    run, measure: Callable[[], dict[str, float]], *, phase: str
) -> dict[str, float]:
    """Measure something, or take what was measured before the run was cut off.

    It is done in a thread of its own: other libraries compute for minutes and
    look at no signal, but Ctrl-C is to end the process at once.

    Args:
        run: The open run.
        measure: Function that returns metrics. Those of time end in `seconds`.
        phase: Name of this measurement.

    Returns:
        The metrics, and the `seconds` and `cpu_seconds` that it took.

    Raises:
        RecipeError: If a metric is NaN or infinite.
    """
    progress = Progress(run, (), phase=phase, epochs=1, quiet=True)
    for _ in progress:
        progress.end_epoch(_in_a_thread(measure))
    return {name: values[0] for name, values in progress.history.items()}


def _in_a_thread(act: Callable):
    """Return what a function returns, or raise what it raises."""
    ends = {}

    def run():
        try:
            ends["value"] = act()
        except BaseException as error:
            ends["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if "error" in ends:
        raise ends["error"]
    return ends["value"]
