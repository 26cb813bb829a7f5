"""milkreport: compare classifiers on imbalanced medical images. Importing it loads no torch."""

from typing import TYPE_CHECKING, Any

from milkreport.errors import ConfigError, DataError, EnvironmentProblem, MilkreportError
from milkreport.evaluation.results import Results
from milkreport.suite import Suite, load_suite

if TYPE_CHECKING:
    from milkreport.evaluation.evaluate import evaluate

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "DataError",
    "EnvironmentProblem",
    "MilkreportError",
    "Results",
    "Suite",
    "__version__",
    "evaluate",
    "load_suite",
]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: it brings SciPy, which most commands do without.
    if name == "evaluate":
        from milkreport.evaluation.evaluate import evaluate

        return evaluate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
