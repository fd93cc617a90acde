"""The editor of transcripts: segments that a person corrects, kept as drafts on the server, and what becomes of them."""
