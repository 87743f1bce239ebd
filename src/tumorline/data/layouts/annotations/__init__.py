"""The layouts of annotation tools: outlines, runs and coloured masks, with the files that name them."""
