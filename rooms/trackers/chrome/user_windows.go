package chrome

import "os/exec"

func ownUser(*exec.Cmd) {}

func giveAway(string, string) error { return nil }
