"""milkreport: compare classifiers on imbalanced medical images. Importing it loads no torch, and nothing else
until it is asked for: ``python -m`` imports this first, while the working folder may still shadow any module.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from milkreport.errors import ConfigError, DataError, EnvironmentProblem, MilkreportError
    from milkreport.evaluation.evaluate import evaluate
    from milkreport.evaluation.from_sklearn import from_sklearn
    from milkreport.evaluation.records.results import Results
    from milkreport.gate.python import audit, check, compare
    from milkreport.reporting.write import report
    from milkreport.suite.suite import Suite, load_suite

__version__ = "0.1.1"

__all__ = [
    "ConfigError",
    "DataError",
    "EnvironmentProblem",
    "MilkreportError",
    "Results",
    "Suite",
    "__version__",
    "audit",
    "check",
    "compare",
    "evaluate",
    "from_sklearn",
    "load_suite",
    "report",
]

_HOMES = {
    "audit": "gate.python",
    "check": "gate.python",
    "compare": "gate.python",
    "evaluate": "evaluation.evaluate",
    "from_sklearn": "evaluation.from_sklearn",
    "report": "reporting.write",
    "Results": "evaluation.records.results",
    "Suite": "suite.suite",
    "load_suite": "suite.suite",
}


def __dir__() -> "list[str]":
    return __all__


def __getattr__(name: str) -> "Any":
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
