"""The prompt templates: ``spans-2.txt``, and for each format of answers the paragraph put into it.

What a file says is never edited once it was used: copy it.
"""
