"""What learns: audio, clips, the model, adaptations, training, decoding and scores.

Imports nothing from `app` or `exports`.
"""
