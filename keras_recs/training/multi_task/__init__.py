"""How much each task of a multi-task model counts, step by step."""
