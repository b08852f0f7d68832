package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/compliance/binder"
)

// proofDrill has the trial house make a binder, and changes it in every way that
// somebody can who got hold of it. Whoever checks it has the file alone, and for
// the last way the six words of a letter.
func (t *trial) proofDrill() layer.Drill {
	return layer.Drill{Name: "proof", Proves: "a binder in which one byte was changed is noticed, and told where", Run: func(ctx context.Context, s *layer.Stage) (layer.Report, error) {
		r := layer.Report{Findings: []string{}, More: map[string]any{}}
		print := t.proof.Print
		t.proof.Print = nil // the pages are tried, not the browser
		defer func() { t.proof.Print = print }()
		if err := t.home.Look(ctx); err != nil {
			return r, err
		}
		m, err := t.proof.Make(ctx, t.now().AddDate(-1, 0, 0), t.now())
		if err != nil {
			return r, err
		}
		d := &proofs{report: &r, bundle: m.Bundle, words: m.Head, compare: !s.Sabotage, dir: t.above, told: map[string]bool{}}
		if err := d.untouched(); err != nil {
			return r, err
		}
		if err := d.bytes(ctx, s.Step); err != nil {
			return r, err
		}
		if err := d.packed(ctx); err != nil {
			return r, err
		}
		for secret := range t.known() {
			if d.report.Tried++; bytes.Contains(m.Bundle, []byte(secret)) {
				d.unnoticed("what is known of a patient stands in the binder")
			}
		}
		r.More["bytes"], r.More["entries"], r.More["facts"] = len(m.Bundle), m.Entries, m.Facts
		r.Held = new(len(r.Findings) == 0)
		return r, nil
	}}
}

type proofs struct {
	report  *layer.Report
	bundle  []byte
	words   string // as the owner's letter has them
	compare bool   // whoever checks compares the words
	dir     string
	told    map[string]bool
}

func (d *proofs) unnoticed(what string) {
	d.report.Opened++
	if !d.told[what] {
		d.told[what] = true
		d.report.Findings = append(d.report.Findings, capital(what)+".")
	}
}

// check does what somebody with the file does, and tells what was named.
func (d *proofs) check(b []byte) (named []string, noticed bool) {
	r, err := binder.Verify(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, true
	}
	for _, f := range r.Findings {
		named = append(named, f.Entry)
	}
	return named, !r.Held || d.compare && r.Head != d.words
}

func (d *proofs) untouched() error {
	path := filepath.Join(d.dir, "proof.zip")
	if err := os.WriteFile(path, d.bundle, 0o600); err != nil {
		return err
	}
	r, err := verifyProof(path)
	if err != nil || !r.Held {
		return fmt.Errorf("a binder that nobody touched does not hold: %w %v", err, r.Findings)
	}
	return nil
}

// changedBytes is how many bytes are changed, each alone, spread over the file;
// those of the small parts, the headers and the ends, all.
const changedBytes = 600

func (d *proofs) bytes(ctx context.Context, step func(done, total int)) error {
	z, err := zip.NewReader(bytes.NewReader(d.bundle), int64(len(d.bundle)))
	if err != nil {
		return err
	}
	type content struct {
		name       string
		begin, end int
	}
	var contents []content
	var places []int
	for _, f := range z.File {
		at, err := f.DataOffset()
		if err != nil {
			return err
		}
		c := content{f.Name, int(at), int(at) + int(f.UncompressedSize64)}
		contents = append(contents, c)
		for i := int(at) - 30 - len(f.Name); i < int(at); i += 7 {
			places = append(places, i)
		}
		places = append(places, c.begin, c.end-1)
	}
	for i := 0; i < len(d.bundle); i += max(1, len(d.bundle)/changedBytes) {
		places = append(places, i)
	}
	places = append(places, len(d.bundle)-22, len(d.bundle)-1)
	b := slices.Clone(d.bundle)
	for n, at := range places {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b[at] ^= 1 << (n % 8)
		d.report.Tried++
		named, noticed := d.check(b)
		b[at] ^= 1 << (n % 8)
		if !noticed {
			d.unnoticed(fmt.Sprintf("byte %d was changed, and nobody noticed", at))
		}
		for _, c := range contents {
			if at >= c.begin && at < c.end && !slices.Contains(named, c.name) {
				d.unnoticed(fmt.Sprintf("%s was changed, and was not named", c.name))
			}
		}
		step(n+1, len(places))
	}
	return nil
}

// packed packs the entries anew, as an ordinary program does.
func (d *proofs) packed(ctx context.Context) error {
	z, err := zip.NewReader(bytes.NewReader(d.bundle), int64(len(d.bundle)))
	if err != nil {
		return err
	}
	var entries []binder.Entry
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			return err
		}
		entries = append(entries, binder.Entry{Name: f.Name, Data: b.Bytes()})
	}
	for _, a := range []struct {
		what string
		do   func([]binder.Entry) []binder.Entry
		ends string
	}{
		{"an entry was added", func(e []binder.Entry) []binder.Entry {
			return append(e, binder.Entry{Name: "more.txt", Data: []byte("x")})
		}, ""},
		{"an entry was taken out", func(e []binder.Entry) []binder.Entry { return slices.Delete(e, 2, 3) }, ""},
		{"two entries changed places", func(e []binder.Entry) []binder.Entry { e[1], e[2] = e[2], e[1]; return e }, ""},
		{"an entry was renamed", func(e []binder.Entry) []binder.Entry { e[1].Name = "other.html"; return e }, ""},
		{"an entry is there twice", func(e []binder.Entry) []binder.Entry { return append(e, e[1]) }, ""},
		{"all was packed anew", func(e []binder.Entry) []binder.Entry { return e }, ""},
	} {
		d.report.Tried++
		b, err := pack(a.do(slices.Clone(entries)))
		if err != nil {
			return err
		}
		if _, noticed := d.check(b); !noticed {
			d.unnoticed(a.what + ", and nobody noticed")
		}
	}
	for what, b := range map[string][]byte{"a byte was added at its end": append(slices.Clone(d.bundle), 0), "its last byte is gone": d.bundle[:len(d.bundle)-1]} {
		d.report.Tried++
		if _, noticed := d.check(b); !noticed {
			d.unnoticed(what + ", and nobody noticed")
		}
	}
	d.report.Tried++
	forged, err := d.forged(ctx, entries)
	if err != nil {
		return err
	}
	if _, noticed := d.check(forged); !noticed {
		d.unnoticed("better pages were signed with another key, and nobody compared the six words")
	}
	return nil
}

func pack(entries []binder.Entry) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.CreateHeader(&zip.FileHeader{Name: e.Name, Method: zip.Store})
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(e.Data); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}

// forged is what somebody makes who has no key of the practice: the pages say
// Safe throughout, in a ledger of their own.
func (d *proofs) forged(ctx context.Context, was []binder.Entry) (_ []byte, err error) {
	db, err := store.Open(ctx, filepath.Join(d.dir, "forged.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	signer, _, err := ledger.NewKey("quietroom/forged")
	if err != nil {
		return nil, err
	}
	key, err := ledger.ParseKey(signer)
	if err != nil {
		return nil, err
	}
	l, err := ledger.Open(ctx, db, key, time.Now)
	if err != nil {
		return nil, err
	}
	var entries []binder.Entry
	for _, e := range was[1 : len(was)-1] {
		if e.Name != binder.FactsName {
			entries = append(entries, binder.Entry{Name: e.Name, Data: bytes.ReplaceAll(e.Data, []byte("Not known"), []byte("Safe"))})
		}
	}
	_, list, err := binder.List(binder.Contents{Practice: "Harbor Counseling", Made: time.Now().UTC()}, entries)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(list)
	if err := db.Update(ctx, func(tx *store.Tx) error {
		return ledger.Append(ctx, tx, ledger.Fact{At: time.Now(), Kind: binder.Fact, Hash: hash[:]})
	}); err != nil {
		return nil, err
	}
	if _, err := l.Sequence(ctx); err != nil {
		return nil, err
	}
	head, err := l.Head(ctx)
	if err != nil {
		return nil, err
	}
	seal := binder.Seal{Key: key.Verifier(), Head: head.Note, Past: []ledger.Consistency{}}
	if seal.Fact, err = l.Prove(ctx, head.Size); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = binder.Write(&b, list, entries, seal)
	return b.Bytes(), err
}
