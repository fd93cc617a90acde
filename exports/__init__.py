"""What leaves: ONNX graphs, packs and the torch-free runtime. Imports `engine`, never `app`."""
