"""Where in a picture an answer comes from: maps, what they look like, and what all have in common.

The room asks a run again about pictures; it trains nothing and changes no run. It knows no class
but those of the run: what a place means is for people to see.

explain    from pictures to maps: which method, which classes
occlusion  the method for what is no sum over places
drawing    maps on the original pictures, in colours
sheet      the verb of the command: a picture each, and one page of them
shortcuts  places that give a class away in all its pictures
"""
