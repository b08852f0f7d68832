package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"quietroom/rooms/devices/wire"
)

// ErrNotEnrolled means that this folder holds no agent of a practice.
var ErrNotEnrolled = errors.New("this computer does not belong to a practice yet: make a link on the page “Devices”, then: quietroom agent enroll LINK")

const stateFile = "agent.json"

// kept is an event that the house has not taken yet.
type kept struct {
	wire.Event
	At time.Time `json:"at"`
}

// memory is what an agent keeps between two starts, in a folder that only its own
// user reads. The device's key lies beside it.
type memory struct {
	Format   int    `json:"format"`
	Origin   string `json:"origin"` // where the house is; nothing else is ever told anything
	Practice string `json:"practice"`
	Name     string `json:"name"`
	Device   string `json:"device"`
	Ledger   string `json:"ledger"` // the verifier that was pinned when the computer joined

	Count  int64     `json:"count"`
	Link   string    `json:"link"`
	Nonce  string    `json:"nonce"`
	Head   string    `json:"head"` // the last signed head of the ledger that was good
	Saw    time.Time `json:"saw"`
	Backup time.Time `json:"backup"` // when the newest proven backup was
	Joined time.Time `json:"joined"`
	Alarm  string    `json:"alarm,omitempty"`
	Since  time.Time `json:"since,omitzero"` // of the alarm
	Events []kept    `json:"events,omitempty"`
	Agent  string    `json:"agent"` // the newest version that ran here
}

// state is the memory of a running agent.
type state struct {
	memory
	mu  sync.Mutex
	dir string
}

func readState(dir string) (*state, error) {
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotEnrolled
	}
	if err != nil {
		return nil, fmt.Errorf("read the agent's folder: %w", err)
	}
	s := &state{dir: dir}
	if err := json.Unmarshal(b, &s.memory); err != nil || s.Device == "" || s.Origin == "" {
		return nil, fmt.Errorf("%s cannot be read; run quietroom agent uninstall, and enroll this computer anew", filepath.Join(dir, stateFile))
	}
	if s.Format != 1 {
		return nil, fmt.Errorf("%s was written by a newer version; install that one again", filepath.Join(dir, stateFile))
	}
	return s, nil
}

// change alters the memory and keeps it, or leaves it as it was.
func (s *state) change(do func(*memory)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.memory
	before.Events = slices.Clone(s.Events)
	do(&s.memory)
	if err := s.save(); err != nil {
		s.memory = before
		return err
	}
	return nil
}

// snapshot is the memory as it is now, to be read at leisure.
func (s *state) snapshot() memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.memory
	m.Events = slices.Clone(s.Events)
	return m
}

func (s *state) save() error {
	b, err := json.MarshalIndent(s.memory, "", "\t")
	if err != nil {
		return err
	}
	return writeFile(s.dir, stateFile, b)
}

// mostKept bounds the events that wait for the house; the newest are dropped
// beyond it, because the first tell how it began.
const mostKept = 200

func (s *state) keepEvent(e kept) error {
	return s.change(func(s *memory) {
		if len(s.Events) < mostKept {
			s.Events = append(s.Events, e)
		}
	})
}

// writeFile replaces a file whole or not at all, readable by its owner only.
func writeFile(dir, name string, text []byte) error {
	f, err := os.CreateTemp(dir, name+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
