"""Safetensors files from strangers: their header is bounded before it is read, as reading takes 700 times its size."""


def check_header(data: bytes, most: int) -> None:
    """Raises ValueError where a file's first bytes state a header of more than `most` bytes, or than it has."""
    stated = int.from_bytes(data[:8], "little")
    if stated > min(most, len(data)):
        raise ValueError(f"its header has {stated} bytes")
