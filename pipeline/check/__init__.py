"""What is in the data: copies, look-alikes, leaks, labels that look wrong, classes out of balance.

The room takes arrays (digests, labels, cached features) and returns row numbers and figures. It
never opens a picture, reads no file and changes nothing.
"""

from pipeline.check.balance import ClassBalance, class_balance
from pipeline.check.duplicates import Group, components, duplicate_groups
from pipeline.check.leaks import Leak, accuracy_without, find_leaks
from pipeline.check.neighbours import NearPairs, near_pairs
from pipeline.check.suspects import Suspect, suspect_labels, unseen_probabilities

__all__ = [
    "ClassBalance",
    "Group",
    "Leak",
    "NearPairs",
    "Suspect",
    "accuracy_without",
    "class_balance",
    "components",
    "duplicate_groups",
    "find_leaks",
    "near_pairs",
    "suspect_labels",
    "unseen_probabilities",
]
