"""What a run needs beside its method: workdir, callbacks, boundaries, several devices, bad numbers."""
