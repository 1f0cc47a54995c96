"""Stage ``compress``: a smaller model without retraining."""
