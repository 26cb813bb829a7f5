"""Runs the small suite on a real Ray cluster of two nodes on this machine, and does things to it.

    python ray_nodes.py OUT DATA CACHE HOW

HOW: ``whole``; ``kill`` (the second node dies when both of its cells have come to their third epoch);
``ship`` (the decoded images are taken from where workers would find them); ``stop`` (the run is asked to
stop in mid-run); ``fail`` (every training fails). Prints a JSON line of what the watcher was told.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from milkreport.errors import Stopped
from milkreport.execution.ray_cluster import RayCluster
from milkreport.execution.tasks import Study
from milkreport.runs.manifest import Manifest
from milkreport.suite.suite import build_suite
from tests.fanout_tools import Memory, carry_out, small_suite


def main() -> None:
    out, data, cache, how = sys.argv[1:]
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 100_000_000}
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **memory})
    second = nodes.add_node(num_cpus=1, **memory)
    executor = RayCluster(nodes.address, "cpu", threads=1)
    # Long enough that a node's death is noticed before its cell would have ended.
    suite = small_suite(epochs=60, batch_size=4) if how in ("kill", "stop") else small_suite()
    if how == "fail":
        values = suite.model_dump()
        values["model"]["metadata_scale"] = 1e300
        suite = build_suite(values)
    reached: dict[str, int] = {}
    done: list[float] = []

    def on_epoch(task: object, epoch: int) -> None:
        reached[str(task)] = epoch
        if done or sum(reached.get(name, 0) >= 3 for name in watcher.at_work) < 2:
            return
        if how == "kill":
            nodes.remove_node(second, allow_graceful=False)
        elif how == "stop":
            os.kill(os.getpid(), signal.SIGINT)
        done.append(time.monotonic())

    class Watcher(Memory):
        def study(self, study: Study, manifest: Manifest) -> None:
            if how == "ship":
                for path in Path(cache).glob("*.jsonl"):
                    path.unlink()

    watcher, stopped = Watcher(on_epoch), 0
    status = ""
    try:
        results = carry_out(suite, Path(data), Path(out), Path(cache), executor, watcher)
        status = results.status
    except Stopped as stop:
        stopped = stop.signum
    finally:
        executor.close()
        nodes.shutdown()
    said = {
        "status": status,
        "stopped": stopped,
        "place": executor.place,
        "workers": executor.workers,
        "notices": watcher.notices,
        "begun": watcher.begun,
        "epochs": watcher.epochs,
        "most_at_work": watcher.most_at_work,
        "messages": [record.message for record in watcher.ended.values()],
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
