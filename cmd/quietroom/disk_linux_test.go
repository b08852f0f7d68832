package main

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/rooms/vault"
)

// smallDisk is a disk of 40 MB, in memory.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=40m"); err != nil {
		if os.Getenv("CI") == "1" && !testing.Short() {
			t.Fatalf("a small disk cannot be mounted (are you root?): %v", err)
		}
		t.Skipf("a small disk cannot be mounted (are you root?): %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// Disk full: writing stops with a sentence, reading goes on, and with some space
// freed writing goes on too.
func TestOnAFullDiskReadingGoesOn(t *testing.T) {
	disk := smallDisk(t)
	h, s, codes, base := taintedHouseIn(t, filepath.Join(disk, "house"))
	h.reserve = 8 << 20
	ctx, done, err := h.identity.Enter(t.Context(), codes["owner-1"])
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	all, err := h.allPatients(ctx)
	if err != nil {
		t.Fatal(err)
	}
	g := s.visitor(h, base, "owner-1", codes)

	// somebody else's files, then notes, fill the disk
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	door := h.door()
	for i := 0; ; i++ {
		b, err := door.Begin(ctx)
		if errors.Is(err, store.ErrFull) {
			break
		}
		if err != nil || i > 1000 {
			t.Fatalf("note %d: %v, want the disk to be full", i, err)
		}
		b.Drop()
		if _, err := h.writeNote(ctx, all[i%len(all)], 100_000); err != nil {
			t.Fatalf("note %d: the disk was full before writing stopped: %v", i, err)
		}
	}
	form := url.Values{"form": {"free"}, "record": {"AAAAAAAAAAAAAAAAAAAAAAAAAA"}, "version": {"0"}, "f-note": {typed[4]}, "on": {"2026-11-23"}}
	status, page := g.post("/patients/"+string(all[0])+"/notes", form)
	if status != http.StatusInsufficientStorage || !strings.Contains(page, "The server’s disk is full") {
		t.Errorf("a note on a full disk: %d %.600s", status, page)
	}
	from := filepath.Join(t.TempDir(), "bundles")
	if err := writeBundles(from, 3); err != nil {
		t.Fatal(err)
	}
	code := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(code, []byte(codes["owner-1"].Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := s.command("import", "fhir", from, "--dir", h.dir, "--unlock", code); !strings.Contains(said, "disk is full") || !strings.Contains(said, "exit 1") {
		t.Errorf("an import on a full disk: %s", said)
	}

	// reading goes on, with its facts, for everybody
	for _, who := range []string{"owner-1", "clinician-1", "front-desk-1"} {
		g := s.visitor(h, base, who, codes)
		for _, p := range all {
			if status, _ := g.ask("GET", "/patients/"+string(p), "", nil); status != http.StatusOK {
				t.Fatalf("%s opens no chart on a full disk: %d", who, status)
			}
		}
		if status, page := g.post("/patients/find", url.Values{"q": {"a"}}); status != http.StatusOK || !strings.Contains(page, "/patients/") {
			t.Fatalf("%s searches nothing on a full disk: %d", who, status)
		}
	}
	c, err := h.vault.Open(ctx, all[0], vault.Chart)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()

	// some space is freed
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if status, page := g.post("/patients/"+string(all[0])+"/notes", form); status != http.StatusSeeOther {
		t.Errorf("a note after space was freed: %d %.300s", status, page)
	}
	if r, err := h.ledger.Verify(ctx, ledger.Options{}); err != nil || !r.Held() {
		t.Errorf("the ledger does not hold: %+v, %v", r.Finding, err)
	}
	s.clean("the log", s.log.String())
}
