"""Parameter servers: what they cost, what they survive, and whether they learn the same."""
