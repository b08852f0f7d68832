package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
)

// settings are what a house keeps beside its database, in house.json: which
// practice it is and where its rows and blobs lie. It is also the anchor of the
// roster: whoever replaces the database as a whole does not replace this.
type settings struct {
	Format     int       `json:"format"`
	ID         string    `json:"practice"`
	RootHash   []byte    `json:"root,omitempty"`       // fingerprint of the first roster entry
	Database   string    `json:"database"`             // a file in the directory, or a postgres:// address
	Blobs      string    `json:"blobs"`                // a folder in the directory, or a bucket: see settings.shelf
	Origin     string    `json:"origin"`               // where browsers find it
	Signatures string    `json:"signatures,omitempty"` // a private mirror of the virus scanner's signatures; the public one if empty
	MadeUp     *madeUp   `json:"made_up,omitempty"`
	Installed  time.Time `json:"installed"`

	mu  sync.Mutex
	dir string
}

// madeUp says that everybody in the house is invented. It stays so for ever: no
// real patient can be mixed in, and its codes open nothing else.
type madeUp struct {
	Seed     uint64    `json:"seed"`
	Patients int       `json:"patients"`
	Day      time.Time `json:"day"`
	Whole    bool      `json:"whole"` // all of it was made
}

const settingsFile = "house.json"

var errNoHouse = errors.New("there is no house in this directory; `quietroom serve --dir DIR` makes one, `quietroom demo` a made-up one")

func newSettings(dir, database, origin string, m *madeUp, now time.Time) (*settings, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the house's directory: %w", err)
	}
	s := &settings{Format: 1, ID: string(id.New[id.Record]()), Database: database, Blobs: "blobs", Origin: origin, MadeUp: m, Installed: now.UTC(), dir: dir}
	signer, _, err := ledger.NewKey("quietroom/" + s.ID)
	if err != nil {
		return nil, err
	}
	if err := writeFile(dir, "ledger.key", []byte(signer+"\n")); err != nil {
		return nil, err
	}
	return s, s.save()
}

func readSettings(dir string) (*settings, error) {
	text, err := os.ReadFile(filepath.Join(dir, settingsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, errNoHouse)
	}
	if err != nil {
		return nil, err
	}
	s := &settings{dir: dir}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%s cannot be read (%v); bring it back from a backup", filepath.Join(dir, settingsFile), err)
	}
	if s.Format != 1 || id.Check(s.ID) != nil {
		return nil, fmt.Errorf("%s is not of this version; install the newer program", filepath.Join(dir, settingsFile))
	}
	return s, nil
}

func (s *settings) save() error {
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	return writeFile(s.dir, settingsFile, append(text, '\n'))
}

// database returns the address that store.Open wants.
func (s *settings) database() string {
	if strings.Contains(s.Database, "://") {
		return s.Database
	}
	return filepath.Join(s.dir, s.Database)
}

// Practice, Root and SetRoot make settings the roster's anchor.
func (s *settings) Practice() string { return s.ID }

func (s *settings) Root() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.RootHash
}

func (s *settings) SetRoot(root []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.RootHash
	s.RootHash = root
	if err := s.save(); err != nil {
		s.RootHash = was
		return err
	}
	return nil
}

// writeFile replaces a file whole or not at all, readable by its owner only.
func writeFile(dir, name string, text []byte) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	// What lies there already, from a crash or from somebody else, would keep its
	// own mode and owner: the file is made anew, or not at all.
	if err := root.Remove(name + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f, err := root.OpenFile(name+".new", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := root.Rename(name+".new", name); err != nil {
		return err
	}
	return syncDir(dir)
}
