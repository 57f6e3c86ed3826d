"""The fitness knowledge graph, annotation and the penalty score.

In: repetitions and annotations.
Out: scores.
May touch: nothing yet: the room is empty until its issue.
"""
