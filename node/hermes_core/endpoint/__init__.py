"""The half of a chat that an app holds: content, exactly once and in order."""
