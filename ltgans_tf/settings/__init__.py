"""Settings by name: architectures, recipes, presets, experiments, and those of single methods."""
