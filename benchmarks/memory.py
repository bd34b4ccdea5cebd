"""Peak memory of a worker process: on one very large file, on a corpus, and on many copies of it.

    python -m benchmarks.memory FOLDER [--files 5000] [--lines 20000] [--jobs 1]

What a worker needs must not grow with the number of files: compare the last two figures. Everything is
made in a temporary directory. Copies keep the folders of the corpus, so that imports lead somewhere.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["measure"]

# Ten lines; ``{0}`` makes every copy another function. Each calls the one before it.
FUNCTION = """
def sample_{0}(key, scale, count: int = {0}):
    first, second = jax.random.split(key)
    noise = jax.random.normal(first, (count,))
    if scale is None:
        scale = jax.random.uniform(first, ())
    for step in range(count):
        noise = noise + jax.random.normal(jax.random.fold_in(second, step), (count,))
    return sample_{1}(jax.random.fold_in(first, count), scale) + noise

"""


def large(lines: int) -> str:
    """A module of so many lines, all of them about keys."""
    count = lines // FUNCTION.count("\n")
    return "import jax\n" + "".join(FUNCTION.format(number, max(number - 1, 0)) for number in range(count))


def copy(corpus: Path, folder: Path, least: int) -> None:
    """Write copies of a corpus below a folder until there are at least so many files."""
    sources = {path.relative_to(corpus): path.read_bytes() for path in sorted(corpus.rglob("*.py"))}
    for number in range(-(-least // len(sources))):
        for path, content in sources.items():
            target = folder / f"copy{number}" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def child(path: Path, jobs: int) -> None:
    """Check a path and print how it went."""
    from pytest_purestate._check.engine import Status, check_paths
    from pytest_purestate.config import ConfigFinder, Overrides

    finder = ConfigFinder(isolated=True, overrides=Overrides(select=("ALL",)))
    start = time.monotonic()
    run = check_paths([path], finder, jobs=jobs)
    seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of the largest worker
    megabytes = peak / (1_000_000 if sys.platform == "darwin" else 1_000)
    print(json.dumps([len(run.results), run.count(Status.FAILED), len(run.findings), seconds, megabytes]))


def measure(path: Path, jobs: int) -> tuple[int, int, int, float, float]:
    """Files, failures, findings, seconds and megabytes of one check, in a process of its own."""
    command = (sys.executable, "-m", "benchmarks.memory", str(path), "--child", "--jobs", str(jobs))
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    files, failed, findings, seconds, megabytes = json.loads(done.stdout)
    return files, failed, findings, seconds, megabytes


def main() -> None:
    """Make the inputs, measure and print."""
    parser = argparse.ArgumentParser(description="Measure the peak memory of a worker process.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.folder, options.jobs)
        return
    with tempfile.TemporaryDirectory() as name:
        module, once, often = (Path(name) / part for part in ("large.py", "once", "often"))
        module.write_text(large(options.lines), encoding="utf-8")
        copy(options.folder, once, 1)
        copy(options.folder, often, options.files)
        print("files  not checked  findings  seconds  MB of the largest worker")
        for path in (module, once, often):
            files, failed, findings, seconds, megabytes = measure(path, options.jobs)
            print(f"{files:5}  {failed:11}  {findings:8}  {seconds:7.1f}  {megabytes:.0f}", flush=True)


if __name__ == "__main__":
    main()
