"""The editor of transcripts: segments that a person corrects, drafts on the server, and what becomes of them."""
