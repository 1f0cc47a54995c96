"""What every stage stands on: parts, recipes, runs, comparison, errors, seeds.

Nothing in this package knows a stage, and nothing here imports torch.
"""
