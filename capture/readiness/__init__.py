"""Is the lab ready for a take? What ``check`` plays and measures, and the quick part of it before every take.

In: a rig, its devices' processes, the folder of takes. Out: findings, each with what to do.
May touch: a temporary folder beside the takes, which goes again.
"""
