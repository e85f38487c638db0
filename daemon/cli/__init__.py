"""The command line: a door to the use cases, and nothing more.

No module here imports torch, transformers, SQLAlchemy or imapclient; commands load what they
need when they run.
"""
