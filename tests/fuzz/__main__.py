"""The long round, by libFuzzer (atheris), which follows the branches that bytes take: `python -m tests.fuzz SECONDS`.

Each reader has a process of its own and its share of the time. What it cannot stand is kept in `build/fuzz`, and named
at the end beside the executions and the memory; `python -m tests.fuzz READER FILE` reads one of them again.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import ROOT

FOUND = ROOT / "build" / "fuzz"
SLOW_S, MOST_MB = 20, 3_000  # for one input: what takes longer or more is a finding
FINDINGS = 5  # of one reader, after which its time is over


def fuzz(name: str, seconds: int) -> None:
    """One reader in this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["lect"]):
        from tests.fuzz.readers import READERS

    reader, corpus = READERS[name], Path(tempfile.mkdtemp())
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(reader.seeds(Path(folder))):
            (corpus / str(number)).write_bytes(seed)
    longest = 2 * max(path.stat().st_size for path in corpus.iterdir())
    options = [f"-max_total_time={seconds}", f"-timeout={SLOW_S}", f"-rss_limit_mb={MOST_MB}", f"-max_len={longest}"]
    options += ["-print_final_stats=1", f"-artifact_prefix={FOUND}/{name}-", str(corpus)]
    atheris.Setup([sys.argv[0], *options], lambda data: reader(data) and None)
    atheris.Fuzz()


def row(name: str, seconds: int) -> tuple[int, int, int]:
    """(executions, findings, peak in MB) of one reader in processes of its own."""
    executions = findings = peak = 0
    while findings < FINDINGS:
        command = [sys.executable, "-m", "tests.fuzz", name, str(max(seconds // (findings + 1), 5))]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
        executions += _stated("number_of_executed_units", done.stderr)
        peak = max(peak, _stated("peak_rss_mb", done.stderr))
        if done.returncode == 0:
            break
        findings += 1
        (FOUND / f"{name}-{findings}.log").write_text(done.stdout + done.stderr)
    return executions, findings, peak


def _stated(what: str, text: str) -> int:
    found = re.findall(rf"stat::{what}:\s+(\d+)", text)
    return int(found[-1]) if found else 0


def main(arguments: list[str]) -> int:
    """All readers for so many seconds, one, or one of its findings again; whether there was a finding."""
    FOUND.mkdir(parents=True, exist_ok=True)
    if len(arguments) == 2 and arguments[1].isdecimal():
        fuzz(arguments[0], int(arguments[1]))
    from tests.fuzz.readers import READERS

    if len(arguments) == 2:
        READERS[arguments[0]](Path(arguments[1]).read_bytes())
        return 0
    total, share = [0, 0], max(5, int(arguments[0] if arguments else 3_600) // len(READERS))
    for name in READERS:
        executions, findings, peak = row(name, share)
        total = [total[0] + executions, total[1] + findings]
        print(f"{name:24} {executions:10,} executions  {findings} findings  {peak:6,} MB", flush=True)
    print(f"{'all':24} {total[0]:10,} executions  {total[1]} findings, in {FOUND}")
    return int(total[1] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
