"""The kinds of CSV that stages hand on to each other: what each column means, and how it is read and written.

A module per kind, so that an edit of one makes only the rules run again that read or write it.

A column's name means one thing. `image` is the name of a real image within its dataset; `file` is the file of a
generated image; `stem` is the name of that file without folder and ending. A prompt is known by its `pool` and its
`prompt_number` in it, and a trained network by its `experiment`, `learning_rate` and `repeat`.
"""
