"""The asyncio client library, the mock app and the restart/resume scenario."""
