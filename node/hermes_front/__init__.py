"""Processes in front of a server: they accept, end TLS and frame; streams of messages reach their owner over a socket.

`link` is what the two say to each other, without IO; `process` is a front's main; `owner` starts and watches fronts.
"""
