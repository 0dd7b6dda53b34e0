"""The same work on several processes or machines, through Dask.

Owns what surrounds the work: finding workers, checking that they see what this process sees, and
handing out shards and search units, again where a worker was lost. What is computed, and how, is
`compute`'s and `search`'s own. Dask's ``distributed`` is imported here only, and late.
`computing` serves stage 1, `searching` stage 2.
"""
