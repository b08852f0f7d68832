package main

import "testing"

func TestEveryTamperingIsFound(t *testing.T) { holds(t, drilled(t, "tamper", false)) }

func TestWithoutAWitnessTheRealKeyRewritesUnseen(t *testing.T) {
	fails(t, drilled(t, "tamper", true), "put back to an older state", "rewritten after an older state", "rewritten with the real key")
}
