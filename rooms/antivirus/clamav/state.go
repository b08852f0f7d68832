package clamav

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// State is what was observed of the engine.
type State struct {
	Version
	Loaded  bool   // the newest signatures on disk are the ones in use
	Refused string // a signature file that it could not load
	Err     error  // it does not see: ErrMissing, ErrNoMemoryPlace, ErrBlind or another
}

// Check has the engine look at the standard test file and at nothing, and reads
// how old its signatures are. It starts the engine where it does not run.
func (e *Engine) Check(ctx context.Context) (s State) {
	if !e.Installed() {
		s.Err = ErrMissing
		return s
	}
	p, err := e.running(ctx)
	if err != nil {
		s.Err = err
		return s
	}
	if s.Err = e.seen(ctx); s.Err != nil {
		e.look(ctx, p)
		return s
	}
	s.Version, s.Err = e.version(ctx)
	s.Loaded = s.Number >= e.onDisk()
	e.mu.Lock()
	s.Refused = e.refused
	e.mu.Unlock()
	return s
}

func (e *Engine) version(ctx context.Context) (Version, error) {
	p, err := e.running(ctx)
	if err != nil {
		return Version{}, err
	}
	said, err := ask(ctx, p.socket, "VERSION")
	if err != nil {
		return Version{}, fmt.Errorf("ask the scanner for its version: %w", err)
	}
	v, ok := ParseVersion(said)
	if !ok {
		return v, errors.New("ask the scanner for its version: the answer cannot be read")
	}
	return v, nil
}

// onDisk is the number of the daily signatures that lie in the folder.
func (e *Engine) onDisk() (number int) {
	for _, name := range []string{"daily.cvd", "daily.cld"} {
		f, err := os.Open(filepath.Join(e.signatures(), name))
		if err != nil {
			continue
		}
		head := make([]byte, headSize)
		n, _ := io.ReadFull(f, head)
		f.Close()
		if h, ok := ParseHead(head[:n]); ok {
			number = max(number, h.Number)
		}
	}
	return number
}

// headSize is that of the head of a signature database (ClamAV's CVD format).
const headSize = 512

// Head is what the first 512 bytes of a signature database say of it.
type Head struct {
	Built  time.Time
	Number int
}

// ParseHead reads the head of a database: "ClamAV-VDB:22 Jun 2021 14-58
// -0400:1:...". What it says is proven by whoever checks its signature.
func ParseHead(b []byte) (h Head, ok bool) {
	text, ours := bytes.CutPrefix(b, []byte("ClamAV-VDB:"))
	f := strings.SplitN(string(text[:min(len(text), headSize)]), ":", 3)
	if !ours || len(f) < 3 {
		return h, false
	}
	built, err := time.Parse("02 Jan 2006 15-04 -0700", f[0])
	n, bad := strconv.Atoi(f[1])
	if err != nil || bad != nil || n < 0 {
		return Head{}, false
	}
	return Head{built.UTC(), n}, true
}
