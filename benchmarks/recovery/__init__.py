"""What it costs that nothing is lost, and that nothing is lost."""
