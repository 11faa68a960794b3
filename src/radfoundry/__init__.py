"""radfoundry: from radiology studies to grounded corpora, models that point at what they say, and believable scores."""

__version__ = "0.1.0"
