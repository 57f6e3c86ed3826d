"""The words of the design as types.

In: nothing. Out: frozen dataclasses and pydantic models that the other rooms pass to each other.
No file, socket, clock or process is touched here, and no other room is imported.
"""
