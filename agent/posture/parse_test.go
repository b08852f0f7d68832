package posture

import (
	"strings"
	"testing"
	"time"

	"quietroom/agent"
	"quietroom/rooms/devices/wire"
)

func TestWhatASystemAnswersIsRead(t *testing.T) {
	apt := func(age time.Duration) func(string) agent.Finding {
		return func(s string) agent.Finding { return parseApt(s, age) }
	}
	const end = "\n1 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"
	for _, c := range []struct {
		title string
		read  func(string) agent.Finding
		out   string
		want  wire.Result
	}{
		{"FileVault on", parseFileVault, "FileVault is On.\n", wire.Pass},
		{"FileVault off", parseFileVault, "FileVault is Off.\n", wire.Fail},
		{"FileVault still at it", parseFileVault, "FileVault is On.\nEncryption in progress: Percent completed = 12\n", wire.Fail},
		{"FileVault in other words", parseFileVault, "FileVault: aktiviert\n", wire.Unknown},
		{"macOS firewall on", parseSocketFilter, "Firewall is enabled. (State = 1)\n", wire.Pass},
		{"macOS firewall blocks all", parseSocketFilter, "Firewall is blocking all. (State = 2)\n", wire.Pass},
		{"macOS firewall off", parseSocketFilter, "Firewall is disabled. (State = 0)\n", wire.Fail},
		{"macOS firewall, an error", parseSocketFilter, "must be root\n", wire.Unknown},
		{"SIP on", parseSIP, "System Integrity Protection status: enabled.\n", wire.Pass},
		{"SIP off", parseSIP, "System Integrity Protection status: disabled.\n", wire.Fail},
		{"SIP in part", parseSIP, "System Integrity Protection status: unknown (Custom Configuration).\n", wire.Fail},
		{"SIP silent", parseSIP, "", wire.Unknown},
		{"Gatekeeper on", parseGatekeeper, "assessments enabled\n", wire.Pass},
		{"Gatekeeper off", parseGatekeeper, "assessments disabled\n", wire.Fail},
		{"Gatekeeper silent", parseGatekeeper, "\n", wire.Unknown},
		{"ufw on", parseUFW, "Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing), disabled (routed)\n", wire.Pass},
		{"ufw lets in", parseUFW, "Status: active\nDefault: allow (incoming), allow (outgoing)\n", wire.Fail},
		{"ufw off", parseUFW, "Status: inactive\n", wire.Fail},
		{"ufw without rights", parseUFW, "ERROR: You need to be root to run this script\n", wire.Unknown},
		{"apt, security waits", apt(time.Hour), "Inst openssl [3.0.1] (3.0.2 Debian-Security:12/stable-security [amd64])" + end, wire.Fail},
		{"apt, only others wait", apt(time.Hour), "Inst vim [9.0] (9.1 Debian:12.5/stable [amd64])" + end, wire.Pass},
		{"apt with old lists", apt(9 * 24 * time.Hour), end, wire.Unknown},
		{"apt cut off", apt(time.Hour), "Reading package lists...\n", wire.Unknown},
		{"Secure Boot on", func(s string) agent.Finding { return parseSecureBoot([]byte(s)) }, "\x06\x00\x00\x00\x01", wire.Pass},
		{"Secure Boot off", func(s string) agent.Finding { return parseSecureBoot([]byte(s)) }, "\x06\x00\x00\x00\x00", wire.Fail},
		{"Secure Boot torn", func(s string) agent.Finding { return parseSecureBoot([]byte(s)) }, "\x06\x00", wire.Unknown},
		{"a tool runs", func(s string) agent.Finding { return parseProcesses(strings.Fields(s)) }, "bash /opt/x/AnyDesk.exe init", wire.Fail},
		{"none runs", func(s string) agent.Finding { return parseProcesses(strings.Fields(s)) }, "bash init", wire.Pass},
		{"nothing could be listed", func(s string) agent.Finding { return parseProcesses(strings.Fields(s)) }, "", wire.Unknown},
	} {
		if got := c.read(c.out); got.Result != c.want || got.Said == "" {
			t.Errorf("%s: got %q (%s), want %q", c.title, got.Result, got.Said, c.want)
		}
	}
	if got := parseProcesses([]string{"my-secret-diary", "anydesk"}); strings.Contains(got.Said, "diary") {
		t.Errorf("a program’s name that is nobody’s business was told: %s", got.Said)
	}
}
