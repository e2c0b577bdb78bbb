"""Languages of texts: regular expressions over code points, and grammars whose rules are such expressions."""
