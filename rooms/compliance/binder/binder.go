// Package binder makes the proof bundle that a practice hands to an auditor or an
// insurer, and checks one that somebody was handed.
//
// A bundle is a ZIP file of one exact form: stored entries in a fixed order, no
// comment, no extra field, one time for all. Its first entry lists the others
// with their SHA-256; its last one holds a fact of the practice's ledger that
// carries the hash of that list, with the proof that the fact stands in a signed
// head. So each byte of the file follows from the list and from what it lists:
// Verify computes it all again, and names what differs.
//
// A bundle that brings its own key shows only that it is whole. That it is this
// practice's, people compare: the head in six words, with the owner's letter.
package binder

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"regexp"
	"strings"
	"time"

	"quietroom/ground/ledger"
)

// The two entries that every bundle has, first and last.
const (
	listName = "contents.json"
	sealName = "seal.json"
)

// Bounds of a bundle, and the entry of its facts.
const (
	format     = 1
	maxEntries = 10_000
	maxList    = 8 << 20
	maxSeal    = 8 << 20
	maxBundle  = 1 << 30
	maxName    = 120
	FactsName  = "ledger/facts.json" // the entry that holds Facts
)

// Fact is the kind of the fact that binds a bundle to its ledger.
const Fact = "compliance.proof-made"

// Entry is one file of the bundle.
type Entry struct {
	Name string // of a-z 0-9 . - and /, never with ".."
	Data []byte
}

// Listed is an entry in the list of contents.
type Listed struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Contents is the list: contents.json.
type Contents struct {
	Format   int       `json:"format"`
	Practice string    `json:"practice"`
	Made     time.Time `json:"made"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Entries  []Listed  `json:"entries"`
}

// Seal binds the list to the ledger: seal.json. Nothing in it can be changed that
// is not noticed: each part is checked against the head, and has one form only.
type Seal struct {
	Format int                  `json:"format"`
	Key    string               `json:"key"`  // checks the heads; it comes with the bundle and proves nothing by itself
	Head   string               `json:"head"` // the signed head in which the fact stands
	Fact   ledger.Inclusion     `json:"fact"` // carries the SHA-256 of contents.json
	Past   []ledger.Consistency `json:"past"` // the head of the facts and those of the letters each begin Head, in this order
}

// Facts is ledger/facts.json: facts of the period, each with its proof, and the
// heads that were printed in letters.
type Facts struct {
	Head    string             `json:"head"`
	Facts   []ledger.Inclusion `json:"facts"`
	Letters []Letter           `json:"letters"`
}

// Letter is a head that the owner holds on paper.
type Letter struct {
	On   string `json:"on"` // 2026-11-27
	Head string `json:"head"`
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*(/[a-z0-9][a-z0-9.-]*)*$`)

func goodName(name string) bool {
	return len(name) <= maxName && nameForm.MatchString(name) && !strings.Contains(name, "..") && name != listName && name != sealName
}

// List makes the list of contents, and its bytes.
func List(c Contents, entries []Entry) (Contents, []byte, error) {
	c.Format, c.Entries = format, nil
	seen := map[string]bool{}
	for _, e := range entries {
		if !goodName(e.Name) || seen[e.Name] {
			return c, nil, fmt.Errorf("binder: %q is no name for an entry, or is there twice", e.Name)
		}
		seen[e.Name] = true
		c.Entries = append(c.Entries, Listed{e.Name, int64(len(e.Data)), sum(e.Data)})
	}
	if len(entries) > maxEntries {
		return c, nil, fmt.Errorf("binder: %d entries, more than %d", len(entries), maxEntries)
	}
	text, err := Encode(c)
	return c, text, err
}

// Write writes a bundle: the list, the entries in its order, and the seal.
func Write(w io.Writer, list []byte, entries []Entry, seal Seal) error {
	seal.Format = format
	text, err := Encode(seal)
	if err != nil {
		return err
	}
	all := append(append([]Entry{{listName, list}}, entries...), Entry{sealName, text})
	var directory []byte
	at := 0
	for _, e := range all {
		sized := header{name: e.Name, size: uint32(len(e.Data)), crc: crc32.ChecksumIEEE(e.Data), at: uint32(at)}
		local := sized.local()
		for _, part := range [][]byte{local, e.Data} {
			n, err := w.Write(part)
			if at += n; err != nil {
				return fmt.Errorf("write the bundle: %w", err)
			}
		}
		if at > maxBundle {
			return errors.New("binder: the bundle is larger than a gigabyte; choose a shorter period")
		}
		directory = append(directory, sized.central()...)
	}
	_, err = w.Write(append(directory, end(len(all), len(directory), at)...))
	return err
}

// Encode is the one form in which lists and seals are written: reading and
// writing again gives the same bytes.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func decode(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	again, err := Encode(v)
	if err == nil && !bytes.Equal(again, text) {
		err = errors.New("it is not written as Quietroom writes it")
	}
	return err
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
