"""The heads of the proposal network, the stages and the semantic branch."""
