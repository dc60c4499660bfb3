"""HTTP/2 and gRPC framing for full-duplex byte streams, served to strangers: sans-IO core and a thin asyncio shell.

`connection.H2Connection` turns bytes into events and calls into bytes; `serving.server.Server` puts it on sockets.
"""
