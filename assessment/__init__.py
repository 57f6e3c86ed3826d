"""The fitness knowledge graph, annotation and the penalty score.

In: repetitions and annotations.
Out: scores.
May touch: nothing. So far there is the score alone; graph and annotation come with their issue.
"""
