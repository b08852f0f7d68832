package main

import (
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quietroom/rooms/backup"
	"quietroom/rooms/backup/restic/restictest"
)

// backedUp is a made-up house with one place for its backups, saved once.
func backedUp(t *testing.T, place backup.Target) (*house, backup.Sheet) {
	t.Helper()
	restictest.Need(t)
	dir := filepath.Join(t.TempDir(), "house")
	m := madeUp{Seed: 7, Patients: 20, Day: time.Now()}
	if _, err := makeDemo(t.Context(), dir, "http://localhost:8470", m, slog.New(slog.DiscardHandler), func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	h, err := openHouse(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.close() })
	if _, _, err := h.backup.AddTarget(t.Context(), place); err != nil {
		t.Fatal(err)
	}
	if _, err := h.backup.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s, err := h.backup.Sheet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h, s
}

func comesBack(t *testing.T, s backup.Sheet) {
	t.Helper()
	above := t.TempDir()
	dir, sheet := filepath.Join(above, "back"), filepath.Join(above, "sheet.txt")
	if err := os.WriteFile(sheet, []byte(s.Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	o := backup.Order{Sheet: s, Dir: dir, Free: freeSpace}
	args := []string{"restore", "--kit", sheet, "--dir", dir}
	for i := range o.Sheet.Targets {
		if k := o.Sheet.Targets[i]; k.Key != "" {
			known := filepath.Join(above, "known")
			if err := os.WriteFile(known, []byte(k.Known+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--key", k.Key, "--known", known)
		}
	}
	// Killed in the middle it leaves nothing in its place, and can be begun again.
	cmd := exec.CommandContext(t.Context(), "quietroom", args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := eventually(func() bool { _, err := os.Stat(filepath.Join(above, ".back.coming")); return err == nil }); err != nil {
		t.Fatalf("nothing comes back: %s", said.String())
	}
	cmd.Process.Kill()
	if err := cmd.Wait(); err == nil {
		t.Fatal("a restoration that was killed says that it is done")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("half a house stands in the place of a house")
	}
	r, err := bringBack(t.Context(), o, "house.db")
	if err != nil || len(r.Findings) > 0 || r.Checked.Patients != 20 || r.Drill != 8 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := bringBack(t.Context(), o, "house.db"); !errors.Is(err, backup.ErrLiving) {
		t.Fatalf("over a living house: got %v, want ErrLiving", err)
	}
}

// TestAPlaceThatIsFullOrUnpluggedIsNamedAndMissesNothing: the other place takes
// the backup, home names the bad one, and it catches up when it is well again.
func TestAPlaceThatIsFullOrUnpluggedIsNamedAndMissesNothing(t *testing.T) {
	restictest.Need(t)
	usb := filepath.Join(t.TempDir(), "usb")
	h, _ := backedUp(t, backup.Target{Kind: backup.Folder, Name: "USB", Place: usb})
	peer := restictest.NewREST(t, false)
	if _, _, err := h.backup.AddTarget(t.Context(), backup.Target{Kind: backup.REST, Name: "Office", Place: strings.Replace(peer.URL, "house:rest-secret@", "", 1), User: "house", Secret: "rest-secret", Outside: true}); err != nil {
		t.Fatal(err)
	}
	run := func(bad, how string) {
		t.Helper()
		outcomes, err := h.backup.Run(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range outcomes {
			if o.Name == bad && o.Failed != how || o.Name != bad && o.Failed != "" {
				t.Errorf("%s: %q", o.Name, o.Failed)
			}
		}
	}
	peer.Most = 1
	run("Office", "it is full")
	if err := os.Rename(usb, usb+".unplugged"); err != nil {
		t.Fatal(err)
	}
	peer.Most = 0
	run("USB", "there is no backup any more")
	for e, err := range h.backup.Layer().Evidence(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Claim == "backup.fresh" && !strings.Contains(e.Text, "1 place") {
			t.Errorf("with one place unplugged home says: %s", e.Text)
		}
	}
	if err := os.Rename(usb+".unplugged", usb); err != nil {
		t.Fatal(err)
	}
	run("", "")
}

func TestAHouseComesBackFromAFolder(t *testing.T) {
	_, s := backedUp(t, backup.Target{Kind: backup.Folder, Name: "USB", Place: filepath.Join(t.TempDir(), "usb")})
	comesBack(t, s)
}

func TestAHouseComesBackFromAnSFTPServer(t *testing.T) {
	srv := restictest.NewSFTP(t)
	known, err := os.ReadFile(srv.Known)
	if err != nil {
		t.Fatal(err)
	}
	_, s := backedUp(t, backup.Target{Kind: backup.SFTP, Name: "SFTP", Place: srv.Address + srv.Dir, User: srv.User, Key: srv.Key, Known: strings.TrimSpace(string(known)), Outside: true})
	comesBack(t, s)
}

func TestAHouseComesBackFromAnS3Service(t *testing.T) {
	restictest.Need(t)
	address, _ := restictest.NewS3(t)
	_, s := backedUp(t, backup.Target{Kind: backup.S3, Name: "S3", Place: address + "/house/backups", User: "key", Secret: "quiet-secret", Outside: true})
	comesBack(t, s)
}

func TestAHouseComesBackFromARESTServer(t *testing.T) {
	restictest.Need(t)
	p := restictest.NewREST(t, false)
	_, s := backedUp(t, backup.Target{Kind: backup.REST, Name: "REST", Place: strings.Replace(p.URL, "house:rest-secret@", "", 1), User: "house", Secret: "rest-secret", Outside: true})
	comesBack(t, s)
}

// TestPlainResticBringsTheRowsBack runs the commands of docs/design/backup.md,
// with sqlite3's part done by the library.
func TestPlainResticBringsTheRowsBack(t *testing.T) {
	place := filepath.Join(t.TempDir(), "usb")
	_, s := backedUp(t, backup.Target{Kind: backup.Folder, Name: "USB", Place: place})
	back := filepath.Join(t.TempDir(), "back")
	for _, stream := range []string{"records", "wraps"} {
		c := exec.Command("restic", "--no-cache", "-r", filepath.Join(place, stream), "restore", "latest", "--target", back)
		c.Env = append(os.Environ(), "RESTIC_PASSWORD="+s.Password)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, name := range []string{"records.sql", "wraps.sql"} {
		text, err := os.ReadFile(filepath.Join(back, "saved", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(string(text)); err != nil {
			t.Fatal(err)
		}
	}
	var patients, wraps int
	if err := db.QueryRow(`SELECT (SELECT count(*) FROM vault_patients), (SELECT count(*) FROM vault_wraps)`).Scan(&patients, &wraps); err != nil || patients != 20 || wraps < 20 {
		t.Fatalf("%d patients, %d keys: %v", patients, wraps, err)
	}
	if text, _ := os.ReadFile(filepath.Join(back, "saved", "records.sql")); strings.Contains(string(text), `INTO "vault_wraps"`) {
		t.Fatal("the long stream holds keys")
	}
	if _, err := os.Stat(filepath.Join(back, "ledger.key")); err != nil {
		t.Fatal(err)
	}
}
