package main

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/layer"
	"quietroom/rooms/antivirus"
	"quietroom/rooms/antivirus/clamav"
)

// newAntivirus makes the room, with a scanner of this house's own: it starts when
// something comes in, or when people do. Its signatures lie in the folder
// "antivirus" of the house's directory; they come from elsewhere, and are in no backup.
func (h *house) newAntivirus(key seal.Key) *antivirus.Antivirus {
	h.scanner = clamav.New(clamav.Config{Dir: filepath.Join(h.dir, signaturesDir), Mirror: h.Signatures, Now: h.now, Log: h.log})
	return antivirus.New(antivirus.Config{DB: h.db, Now: h.now, Practice: h.ID, Key: key, Engine: h.scanner, People: people{h.identity}, Tap: h.identity.Tap,
		Served: h.served.Load, MadeUp: h.MadeUp != nil, Log: h.log})
}

const signaturesDir = "antivirus"

// Working is how many people have doors here.
func (p people) Working(ctx context.Context) (n int, err error) {
	roster, err := p.Roster(ctx)
	if err != nil {
		return 0, err
	}
	for _, name := range roster.People() {
		if who, ok := roster.Person(name); ok && !who.Gone {
			n++
		}
	}
	return n, nil
}

// Owner tells whether somebody is an owner now.
func (p people) Owner(ctx context.Context, who id.Person) (bool, error) {
	roster, err := p.Roster(ctx)
	if err != nil {
		return false, err
	}
	person, ok := roster.Person(string(who))
	return ok && !person.Gone && slices.Contains(person.Roles, seal.Owner), nil
}

// suspects has the room training ask the scanner about files that came with a
// message that somebody reported.
type suspects struct{ *antivirus.Antivirus }

func (s suspects) Scan(ctx context.Context, content []byte) (string, error) {
	v, err := s.Antivirus.Scan(ctx, layer.Incoming{From: "lesson"}, bytes.NewReader(content))
	switch {
	case err != nil:
		return "", err
	case v.State == layer.Safe:
		return "clean", nil
	case v.State == layer.Urgent, v.Name != "":
		return "malware", nil
	}
	return "not-known", nil
}

// scannerFinding is what doctor says of the virus scanner on this machine.
func scannerFinding() finding {
	if !clamav.New(clamav.Config{}).Installed() {
		return unknown("virus scanner", "not installed, so files are taken in without being looked through: apt-get install clamav-daemon clamav-freshclam")
	}
	return good("virus scanner", "installed")
}
