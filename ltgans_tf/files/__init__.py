"""Files of a run: JSON, the TensorBoard log, and what the run was made with."""
