"""The colours of every figure, which people with any kind of colour vision can tell apart."""

# Okabe and Ito's (2008). The grey stands out from white paper and from a dark page alike (a contrast of 4.5 to 1).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#767676"
DIVERGING = "PuOr"  # a colour map for what may be negative (orange) or positive (purple)

# Of the digits 0 to 9. A search over a grid of sRGB found them: each has a contrast of at least 3 to 1 on white and on
# JupyterLab's dark paper, #111111, and the two most alike differ as much as could be (CIEDE2000 of CIELAB): by 20.9 for
# normal sight, by 12.6 for deutan and protan sight as Machado, Oliveira and Fernandes (2009) simulate them. Digits that
# often lie side by side on a map, such as 4 and 9, differ by 21.9 and more in all three.
DIGIT_COLOURS = (
    *("#3C4BFF", "#785A69", "#A587B4", "#C3870F", "#1EA587"),
    *("#C300A5", "#F05A78", "#C31E0F", "#5A694B", "#0096FF"),
)
