"""One process each of benchmarks/sequential/throughput.py."""
