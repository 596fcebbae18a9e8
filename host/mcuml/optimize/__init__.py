"""Model and data in, smaller and faster models out: recipes of pruning, clustering, quantization and rewrites (TensorFlow)."""
