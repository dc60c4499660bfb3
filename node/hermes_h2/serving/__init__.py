"""The asyncio shell of `hermes_h2`: sockets, TLS, timers, and handlers as coroutines."""
