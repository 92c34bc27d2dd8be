"""What Skywire reaches on this machine: `make bench`, or `python -m bench.bench_<figure>`."""
