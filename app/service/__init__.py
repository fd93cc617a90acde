"""Transcription over HTTP, in the request and answer shapes of OpenAI's audio interface; by the torch-free runtime."""
