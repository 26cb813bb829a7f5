"""Training of one cell. What torch reads from the environment is set here, before torch is imported."""

import os

# cuBLAS: without it deterministic algorithms are refused.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# OpenMP: threads that wait sleep instead of spinning. Alone on the machine it makes no difference; beside
# one other busy process our small chunks run about three times as fast.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
