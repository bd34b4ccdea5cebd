"""The object-oriented halves: state hides in attributes, or is edited where it should be replaced.

A comment `# planted: CODE` marks each line that `purestate` reports, and no other line is reported.
"""
