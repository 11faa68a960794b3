"""Asking and scoring: tasks, predictors, run logs, blind controls, comparison."""
