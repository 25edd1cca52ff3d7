"""Files of a run: atomic writes, JSON, logs, locks, paths, and the code that wrote them."""
