package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"

	"quietroom/agent"
	"quietroom/agent/posture"
	devicewire "quietroom/rooms/devices/wire"
)

// agentCommand is the agent's own end. So far it looks at this computer once, for
// the person who sits at it; nothing leaves the computer.
func agentCommand(ctx context.Context, c *call) error {
	asJSON := c.flags.Bool("json", false, "print one JSON document and nothing else")
	words, err := c.parse()
	if err != nil {
		return err
	}
	if len(words) != 1 || words[0] != "check" {
		return usage("say what the agent should do: quietroom agent check")
	}
	checks := posture.Checks(runtime.GOOS)
	if len(checks) == 0 {
		return exit{exitSkipped, fmt.Errorf("this version does not know how to look at %s", runtime.GOOS)}
	}
	found := agent.LookOnce(ctx, checks)
	if *asJSON {
		err = json.NewEncoder(c.out).Encode(map[string]any{"system": runtime.GOOS, "checks": found})
	} else {
		printChecks(c.out, runtime.GOOS, found)
	}
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.Result != devicewire.Pass && f.Result != devicewire.NotApplicable { // what is not known never counts as good
			return exit{exitFailed, nil}
		}
	}
	return nil
}

// printChecks says of each check what was asked, what was answered, and what to do.
func printChecks(w io.Writer, system string, found []devicewire.Check) {
	words := map[devicewire.Result]string{devicewire.Pass: "Pass", devicewire.Fail: "Fail", devicewire.Unknown: "Not known", devicewire.NotApplicable: "Not here"}
	for _, f := range found {
		about, _ := devicewire.AboutCheck(f.Name)
		fmt.Fprintf(w, "%-10s %s\n           Asked: %s\n           Found: %s\n", words[f.Result], about.Title, about.Asks, f.Said)
		if f.Result == devicewire.Fail {
			fmt.Fprintf(w, "           To do: %s\n", about.Fix[system])
		}
	}
}
