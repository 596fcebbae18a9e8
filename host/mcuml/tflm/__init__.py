"""The second runtime: TensorFlow Lite Micro behind the interface of mcuml's own C (docs/TFLM.md)."""
