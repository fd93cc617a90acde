"""The page: `lect ui`. One module a step; each shows what the engine has and calls what its command calls.

Nothing is kept here but the path of the open project: whatever matters is in the project's folder.
"""
