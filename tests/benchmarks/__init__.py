"""What Lect promises about time and memory, measured: `make bench`, or `python -m tests.benchmarks --help`."""
