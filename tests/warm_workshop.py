"""A benchmark's commands without their start: in interpreters that have everything imported."""

from conftest import ROOT

from benchmarks.processes import Ended, Failed
from benchmarks.workshop import Workshop
from tools import warm


def warmly(shop: Workshop, words: list[str], env: dict[str, str], watch: None = None) -> Ended:
    """Run a Python module as `Workshop.run` does, by an interpreter that has everything imported."""
    at = len(words) - words[::-1].index("-m")  # of a launcher's two the last one
    done = warm.run(words[at], [*words[at + 1 :]], ROOT, None, env)
    if done.returncode:
        raise Failed(f"{words[at]} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return Ended(0.0, 2.0, 0, done.stdout, others_cores=0.0, cpu_seconds=1.0)
