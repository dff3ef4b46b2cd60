"""What each training recipe does to models on public data."""
