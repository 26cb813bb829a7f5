"""milkreport: compare classifiers on imbalanced medical images. Importing it loads no torch."""

from milkreport.errors import ConfigError, DataError, EnvironmentProblem, MilkreportError
from milkreport.evaluation.results import Results
from milkreport.suite import Suite, load_suite

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "DataError",
    "EnvironmentProblem",
    "MilkreportError",
    "Results",
    "Suite",
    "__version__",
    "load_suite",
]
