package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"quietroom/ground/store"
	"quietroom/rooms/backup"
)

// A house that comes back through the first page lies in arriving/ until somebody
// opens it. Then the server stops, the fresh installation's files go to
// arriving/fresh, the house's own take their places, and the server starts again.
// Both moves may be cut off at any file, and go on at the next start.

const (
	arriving = "arriving"
	goneFile = "away" // the fresh installation's files are being put away
	inFile   = "in"   // they are; the house's own are moving in
)

// stays are what belongs to this installation, whoever lives here.
var stays = map[string]bool{"run": true, arriving: true, "certificates": true, "quietroom.log": true, "lost+found": true}

// fresh is this installation, as the backup room's first page needs it.
type fresh struct{ h *house }

func (f fresh) Claimed(r *http.Request) error { return f.h.identity.Claimed(r) }

func (f fresh) Arrive(ctx context.Context, s backup.Sheet, key, known string, step func(string)) (r backup.Report, answers, cannot string, err error) {
	h := f.h
	if strings.Contains(h.Database, "://") {
		return r, "", "", fmt.Errorf("this installation keeps its rows in PostgreSQL; bring it back with: quietroom restore --kit sheet.txt --database … --dir …")
	}
	dir := filepath.Join(h.dir, arriving, "house")
	if err := os.RemoveAll(filepath.Join(h.dir, arriving)); err != nil { // of an earlier try
		return r, "", "", err
	}
	for i := range s.Targets {
		t := &s.Targets[i]
		t.Key, t.Known, t.SSHDir = key, known, filepath.Join(h.dir, "run", "ssh")
	}
	if r, err = bringBack(ctx, backup.Order{Sheet: s, Dir: dir, Free: freeSpace, Step: step}, "house.db"); err != nil {
		return r, "", "", err
	}
	came, err := readSettings(dir)
	if err != nil {
		return r, "", "", err
	}
	if hostOf(came.Origin) != hostOf(h.Origin) {
		return r, came.Origin, fmt.Sprintf("Its passkeys answer to %s only. Stop this server, and start it under that name; then bring the practice back again.", hostOf(came.Origin)), nil
	}
	return r, h.Origin, "", nil
}

// Open has the server stop, move in and start again.
func (f fresh) Open() error {
	if f.h.moveIn == nil {
		return errors.New("this house is not served")
	}
	f.h.moveIn()
	return nil
}

// moveIn finishes what an opening began. It wants the directory's lock.
func moveIn(dir string) error {
	at := filepath.Join(dir, arriving)
	marked := func(name string) bool { _, err := os.Stat(filepath.Join(at, name)); return err == nil }
	if !marked(goneFile) && !marked(inFile) {
		return nil
	}
	if marked(goneFile) && !marked(inFile) {
		if err := moveAll(dir, filepath.Join(at, "fresh")); err != nil {
			return fmt.Errorf("put the fresh installation away: %w", err)
		}
		if err := writeFile(at, inFile, nil); err != nil {
			return err
		}
	}
	if err := moveAll(filepath.Join(at, "house"), dir); err != nil {
		return fmt.Errorf("move the house in: %w", err)
	}
	return os.RemoveAll(at)
}

func moveAll(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		if stays[e.Name()] {
			continue
		}
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return errors.Join(syncDir(from), syncDir(to))
}

// beginMove marks that the house that came back is to be opened: never where
// somebody founded a practice meanwhile.
func beginMove(dir string) error {
	s, err := readSettings(dir)
	if err != nil {
		return err
	}
	if s.Root() != nil || s.MadeUp != nil {
		return backup.ErrLiving
	}
	if _, err := os.Stat(filepath.Join(dir, arriving, "house", settingsFile)); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, arriving), goneFile, nil)
}

// underLock runs something while no other process has the house.
func underLock(dir string, do func(string) error) error {
	held, err := store.Lock(dir)
	if err != nil {
		return err
	}
	return errors.Join(do(dir), held.Release())
}
