package main

import "testing"

func TestNoMovedReplayedOrForgedRowIsAccepted(t *testing.T) {
	r := drilled(t, "row-swap", false)
	holds(t, r)
}

func TestRowSwapNoticesAVaultThatDoesNotAskTheLedger(t *testing.T) {
	fails(t, drilled(t, "row-swap", true), "was accepted")
}
