"""Looking through pictures without labels: what is like what, and what to label next.

The room works on features that are cached, and changes nothing of the user's.
"""
