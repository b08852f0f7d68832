// Package posture looks at how a computer is kept. Each check is a collector (a
// command or a file) and a parser, which is a pure function from what the system
// answered to a finding and is tested on every platform from recorded answers of
// our own making. What a parser does not recognise is Unknown: a new wording of
// a system never passes.
package posture

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"quietroom/agent"
	"quietroom/rooms/devices/wire"
)

func pass(said string) agent.Finding { return agent.Finding{Result: wire.Pass, Said: said} }
func fail(said string) agent.Finding { return agent.Finding{Result: wire.Fail, Said: said} }
func unknown(why string) agent.Finding {
	return agent.Finding{Result: wire.Unknown, Said: why}
}

// parseFileVault reads `fdesetup status` of macOS.
func parseFileVault(out string) agent.Finding {
	switch first, _, _ := strings.Cut(strings.TrimSpace(out), "\n"); {
	case first == "FileVault is On.":
		if strings.Contains(out, "in progress") {
			return fail("FileVault is on, and still encrypts the disk.")
		}
		return pass("FileVault is on.")
	case first == "FileVault is Off.":
		return fail("FileVault is off.")
	}
	return unknown("fdesetup gave an answer that is not known here.")
}

// parseSocketFilter reads `socketfilterfw --getglobalstate` of macOS: State 1 and
// 2 are both on.
func parseSocketFilter(out string) agent.Finding {
	switch {
	case strings.Contains(out, "(State = 1)"), strings.Contains(out, "(State = 2)"):
		return pass("The firewall is on.")
	case strings.Contains(out, "(State = 0)"):
		return fail("The firewall is off.")
	}
	return unknown("socketfilterfw gave an answer that is not known here.")
}

// parseSIP reads `csrutil status` of macOS.
func parseSIP(out string) agent.Finding {
	switch s := strings.TrimSpace(out); {
	case s == "System Integrity Protection status: enabled.":
		return pass("System Integrity Protection is on.")
	case strings.HasPrefix(s, "System Integrity Protection status: disabled"), strings.HasPrefix(s, "System Integrity Protection status: unknown (Custom Configuration)"):
		return fail("System Integrity Protection is off, or off in part.")
	}
	return unknown("csrutil gave an answer that is not known here.")
}

// parseGatekeeper reads `spctl --status` of macOS.
func parseGatekeeper(out string) agent.Finding {
	switch strings.TrimSpace(out) {
	case "assessments enabled":
		return pass("Gatekeeper is on.")
	case "assessments disabled":
		return fail("Gatekeeper is off.")
	}
	return unknown("spctl gave an answer that is not known here.")
}

// parseUFW reads `ufw status verbose`.
func parseUFW(out string) agent.Finding {
	status, deny := "", false
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "Status":
			status = value
		case "Default":
			deny = strings.HasPrefix(value, "deny (incoming)") || strings.HasPrefix(value, "reject (incoming)")
		}
	}
	switch {
	case status == "inactive":
		return fail("The firewall (ufw) is off.")
	case status == "active" && deny:
		return pass("The firewall (ufw) is on, and refuses what comes in.")
	case status == "active":
		return fail("The firewall (ufw) is on, and lets everything in.")
	}
	return unknown("ufw gave an answer that is not known here.")
}

// staleAfter is how old a list of updates may be before it says nothing.
const staleAfter = 7 * 24 * time.Hour

// parseApt reads `apt-get -s upgrade`, with the age of the lists it works from.
func parseApt(out string, listsAge time.Duration) agent.Finding {
	if listsAge > staleAfter {
		return unknown("The list of updates is older than a week, so nobody knows what waits.")
	}
	security, whole := 0, false
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "Inst ") && strings.Contains(strings.ToLower(line), "security") {
			security++
		}
		whole = whole || strings.Contains(line, " newly installed, ")
	}
	switch {
	case !whole:
		return unknown("apt gave no whole answer.")
	case security > 0:
		return fail(fmt.Sprintf("%d security updates wait.", security))
	}
	return pass("No security update waits.")
}

// parseSecureBoot reads the EFI variable: four bytes of attributes, then the value.
func parseSecureBoot(b []byte) agent.Finding {
	if len(b) != 5 || b[4] > 1 {
		return unknown("The firmware’s answer is not known here.")
	}
	if b[4] == 1 {
		return pass("Secure Boot is on.")
	}
	return fail("Secure Boot is off.")
}

// remote are the well-known programs for remote control, by the name under which
// they run.
var remote = map[string]string{"anydesk": "AnyDesk", "teamviewer": "TeamViewer", "teamviewerd": "TeamViewer", "rustdesk": "RustDesk", "dwagent": "DWService",
	"connectwisecontrol": "ScreenConnect", "screenconnect": "ScreenConnect", "splashtop-streamer": "Splashtop", "supremo": "Supremo", "x11vnc": "x11vnc", "vncserver": "VNC", "atera_agent": "Atera"}

// parseProcesses looks for them among the names of what runs. Of all names only
// the known ones are ever told.
func parseProcesses(names []string) agent.Finding {
	if len(names) == 0 {
		return unknown("What runs on this computer could not be listed.")
	}
	var found []string
	for _, n := range names {
		if r, ok := remote[strings.ToLower(strings.TrimSuffix(path.Base(n), ".exe"))]; ok && !slices.Contains(found, r) {
			found = append(found, r)
		}
	}
	if len(found) > 0 {
		slices.Sort(found)
		return fail(strings.Join(found, ", ") + " is running.")
	}
	return pass("None of the well-known programs for remote control is running.")
}
