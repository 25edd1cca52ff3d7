"""Exports a trained model as SavedModels that TensorFlow Serving can load."""
