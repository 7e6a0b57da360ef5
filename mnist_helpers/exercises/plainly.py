"""What an error means, where its own words say nothing to a beginner."""

WORDS = {
    "Boolean value of Tensor": "`if`, `and`, `or`, `not` take a single True or False; for whole tensors there are `&`, "
    "`|` and `~`.",
    "with two bool tensors is not supported": "True and False cannot be subtracted: `&` and `~` combine masks, `sum` "
    "counts them.",
    "could not infer output dtype": "`mean` takes decimals only: `.float()` makes them of whole numbers, and 1 or 0 "
    "of True or False.",
    "Byte and Float": "Pixels are whole numbers from 0 to 255: `mh.predict_logits` takes them as they are.",
    "not implemented for 'Long'": "`F.cross_entropy` takes the logits first, then the labels.",
    "target with class probabilities": "`F.cross_entropy` takes the logits, all ten for each image, and not a digit.",
    "Dimension out of range": "The tensor has fewer dimensions than the one that you name: what is its shape?",
    "'NoneType' object has no attribute": "This was None: `append`, for one, changes a list and returns nothing.",
    "'float' object has no attribute 'backward'": "`.item()` makes a plain number, which has no history: call "
    "`backward` before that.",
    "'float' object is not iterable": "It is one number: `append` puts one into a list.",
    "'int' object is not iterable": "It is one number: `range` counts up to it.",
    "a Split takes a slice": "A Split holds images and labels side by side, and is no row of batches.",
    "too many values to unpack": "More came than there are names for. Is it a list, to be gone through with `for`?",
    "cannot access local variable": "It is changed before it has a value: what does it start with?",
}


def plainly(error):
    """A sentence with a blank before it, or nothing."""
    return next((f" {words}" for part, words in WORDS.items() if part in str(error)), "")
