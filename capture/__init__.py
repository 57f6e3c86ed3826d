"""The application: command line, device workers, recorder, verdict, console.

In: an operator's words and a rig.
Out: a raw take and a dataset.
May touch: everything; it is the only room that knows all others.
"""
