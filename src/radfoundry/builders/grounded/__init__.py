"""The questions of `build grounded-report`, one file a kind: what a report states, where, and what can be asked of it."""
