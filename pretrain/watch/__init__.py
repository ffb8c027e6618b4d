"""What is looked at while a model trains: figures and where they go, held-out documents, the profiler."""
