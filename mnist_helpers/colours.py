"""The colours of every figure, which people with any kind of colour vision can tell apart."""

# Okabe and Ito's (2008). The grey stands out from white paper and from a dark page alike (a contrast of 4.5 to 1).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#767676"
DIVERGING = "PuOr"  # a colour map for what may be negative (orange) or positive (purple)
