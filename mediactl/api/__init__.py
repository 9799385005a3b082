"""The Python API: ``mediactl.make``, ``process``, ``open`` and their values, which ``mediactl`` itself exports.

All work is done by a host, a process of its own that is started by exec: the caller's process gets no signal handler,
no limit, no variable and no decoder, whatever threads, event loops and forks it has.
"""
