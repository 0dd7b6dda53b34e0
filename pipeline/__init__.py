"""Staged transfer learning for pictures: features once, classifiers often, fine-tuning last."""
