package main

import (
	"bytes"
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	devicewire "quietroom/rooms/devices/wire"
)

func TestTheAgentLooksAtThisComputer(t *testing.T) {
	if runtime.GOOS != "linux" || testing.Short() {
		t.Skip("asks this very machine, apt included")
	}
	var out, said bytes.Buffer
	code := run(t.Context(), &call{args: []string{"agent", "check", "--json"}, out: &out, err: &said})
	var got struct {
		System string
		Checks []devicewire.Check
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got.Checks) == 0 {
		t.Fatalf("%v: %s%s", err, out.String(), said.String())
	}
	held := true
	for _, c := range got.Checks {
		held = held && (c.Result == devicewire.Pass || c.Result == devicewire.NotApplicable)
	}
	if held != (code == exitHeld) {
		t.Errorf("exit %d, and the checks say %+v", code, got.Checks)
	}
	if code := run(t.Context(), &call{args: []string{"agent"}, out: &out, err: &said}); code != exitUsage {
		t.Errorf("agent without a word ends with %d", code)
	}
}

func TestWhatFailsSaysWhatToDo(t *testing.T) {
	var out bytes.Buffer
	printChecks(&out, "linux", []devicewire.Check{{Name: devicewire.Firewall, Result: devicewire.Fail, Said: "The firewall (ufw) is off."}, {Name: devicewire.Updates, Result: devicewire.Unknown, Said: "apt could not be asked."}})
	for _, want := range []string{"Fail", "ufw enable", "Not known", "Asked:"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}
