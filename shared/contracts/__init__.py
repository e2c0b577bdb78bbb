"""Output contracts: from JSON Schema or DDL to a token automaton that no model can break."""
