"""Raw files to typed columns, in chunks and in several processes."""
