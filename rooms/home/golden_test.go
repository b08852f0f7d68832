package home_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"quietroom/layer"
	"quietroom/rooms/home"
)

var update = flag.Bool("update", false, "write the golden pages anew")

// moving is the part of an address that changes with the frame's own files.
var moving = regexp.MustCompile(`/static/[0-9a-f]{16}/`)

// scenes are houses as people meet them.
var scenes = []struct {
	name string
	set  func(*practice)
}{
	{"empty", func(*practice) {}},
	{"first", func(p *practice) {
		p.says(
			needs("identity.doors", layer.People, "Maya Lindqvist has one way in only. A lost phone would close the room for good.", "Add another way in", "/doors", 2, p.now),
			needs("identity.kit", layer.People, "There is no recovery kit. If all keys are lost, nobody can open what is sealed here.", "Make the recovery kit", "/kit", 3, p.now),
			safe("vault.sealed", layer.Records, "Nothing is kept here yet, so nothing lies open.", p.now),
		)
	}},
	{"full", func(p *practice) {
		p.patients = 33000
		p.Verbs = []home.Verb{
			{Text: "Someone is leaving", About: "Close every door to one person, and prove it. 1 minute.", Icon: "leave", Path: "/leaving"},
			{Text: "Something happened", About: "Lost, stolen, clicked, odd. Two questions, then it acts.", Icon: "bell", Path: "/happened"},
			{Text: "Show proof", About: "For an auditor, an insurer, or your own sleep.", Icon: "proof", Path: "/proof"},
		}
		p.allHeld(p.now.Add(-8*time.Hour - 52*time.Minute))
		p.says(full(p.now.Add(-40 * time.Second))...)
	}},
	{"calm", func(p *practice) {
		p.patients = 214
		p.allHeld(p.now.Add(-8 * time.Hour))
		p.says(
			safe("vault.sealed", layer.Records, "Every record is sealed under a key of its own patient.", p.now),
			safe("devices.healthy", layer.Devices, "All 12 computers reported this morning.", p.now.Add(-6*time.Hour)),
			safe("identity.doors", layer.People, "All 12 people have at least 2 ways in.", p.now),
			safe("backup.opened", layer.Backups, "The newest backup was opened and compared, 214 of 214 records.", p.now.Add(-10*time.Hour)),
			safe("mail.relay", layer.Edges, "The mailbox holds pointers only.", p.now),
		)
	}},
	{"today", func(p *practice) { // the rooms that there are now
		p.patients = 33000
		p.allHeld(p.now.Add(-2 * time.Minute))
		p.says(
			safe("vault.sealed", layer.Records, "Every record is sealed under a key of its own patient.", p.now),
			safe("identity.doors", layer.People, "All 12 people have at least 2 ways in.", p.now),
			safe("identity.kit", layer.People, "The recovery kit was printed and read back from the paper.", p.now),
		)
	}},
	{"urgent", func(p *practice) {
		p.patients = 33000
		p.allHeld(p.now.Add(-8 * time.Hour))
		p.says(full(p.now)...)
		p.tried(layer.Report{Drill: "theft", Held: new(false), Tried: 33000, Opened: 2, TookMS: 4400, Findings: []string{"2 records open with a key that lies in the configuration."}}, p.now)
		p.tried(layer.Report{Drill: "push-spam", Held: new(false), Tried: 10000, TookMS: 9400, Findings: []string{"The real person waited 9 seconds."}}, p.now)
	}},
}

func TestPagesAreAsTheyWere(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			p := newPractice(t)
			s.set(p)
			golden(t, s.name, p.page("/"))
			golden(t, s.name+"-evidence", p.page("/evidence"))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	got = moving.ReplaceAllString(got, "/static/HASH/")
	file := filepath.Join("testdata", "golden", name+".html")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("line %d of the page differs from %s (look, then go test -update):\n got %s\nwant %s", i+1, file, at(g, i), at(w, i))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(the end)"
}
