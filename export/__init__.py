"""From a trained model to SavedModels that TensorFlow Serving can load."""
