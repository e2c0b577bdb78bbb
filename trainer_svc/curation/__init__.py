"""What a golden dataset is worth: its rows against their contract and against each other."""
