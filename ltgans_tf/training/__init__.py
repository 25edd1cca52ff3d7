"""The parts of a run besides its method: workdir, callbacks, boundaries, several devices, non-finite numbers."""
