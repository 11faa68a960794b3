"""Training: a study is paid for once, however many questions are asked about it."""
