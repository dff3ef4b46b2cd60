"""Parameter servers: what they cost and survive, and whether they learn the same."""
