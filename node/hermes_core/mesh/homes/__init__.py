"""The directory of apps, sans-IO: an entry for each app, signed by it and by its home, at three holders on a hash ring."""
