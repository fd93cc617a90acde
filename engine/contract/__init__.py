"""What the rooms agree on: errors, files, settings, names and events. Imports no torch, gradio or onnxruntime."""
