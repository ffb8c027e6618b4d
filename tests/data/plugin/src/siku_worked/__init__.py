"""A source, an edit, a measure, a rule and a stage, each in a module of its own."""
