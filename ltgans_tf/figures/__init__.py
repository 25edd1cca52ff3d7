"""Pictures: sheets of images, charts of scores, and the figures of a run."""
