package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/blobs/disk"
	"quietroom/madeup/find"
	"quietroom/rooms/identity"
	"quietroom/rooms/vault"
)

// A thief's copy of a house: what stands in the open in it, what in it looks
// like a key, and what these keys open.

// mostHits is how many secrets in the open are told of; where there is one, the
// drill has failed already.
const mostHits = 20

// sighting is a secret that stands in the open.
type sighting struct {
	file string
	hit  find.Hit
}

func (s sighting) String() string {
	in := ""
	if s.hit.Packed != "" {
		in = ", inside " + s.hit.Packed
	}
	return fmt.Sprintf("%s: secret %d stands in the open at byte %d, as %s%s", s.file, s.hit.Secret, s.hit.Offset, s.hit.Encoding, in)
}

// lookThrough looks for secrets in every file of a copy, two files at a time.
func lookThrough(ctx context.Context, dir string, f *find.Finder) (seen []sighting, size int64, err error) {
	type file struct {
		path string
		size int64
	}
	var files []file
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files = append(files, file{path, info.Size()})
			size += info.Size()
		}
		return err
	})
	slices.SortFunc(files, func(a, b file) int { return int(b.size - a.size) })
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan file, len(files))
	for _, f := range files {
		next <- f
	}
	close(next)
	for range 2 {
		wg.Go(func() {
			for one := range next {
				mu.Lock()
				enough := err != nil || len(seen) >= mostHits || ctx.Err() != nil
				mu.Unlock()
				if enough {
					return
				}
				hits, e := lookAt(one.path, f)
				mu.Lock()
				for _, h := range hits {
					rel, _ := filepath.Rel(dir, one.path)
					seen = append(seen, sighting{rel, h})
				}
				if e != nil {
					err = e
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return seen, size, err
}

func lookAt(path string, f *find.Finder) (hits []find.Hit, err error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for h, e := range f.Scan(r) {
		if e != nil {
			if h == (find.Hit{}) && len(hits) == 0 {
				err = e // a packed stream that is torn is looked at as it is
			}
			continue
		}
		if hits = append(hits, h); len(hits) >= mostHits {
			break
		}
	}
	return hits, err
}

// loot are the things in a copy that could be keys.
type loot struct {
	near, far []seal.Key          // in files and environment; in the program and in rows
	at        map[seal.Key]string // where each lay
}

func (l *loot) add(list *[]seal.Key, at string, b []byte) {
	k, err := seal.KeyFrom(b)
	if err != nil || l.at[k] != "" {
		return
	}
	l.at[k] = at
	*list = append(*list, k)
}

// spaced is a code as people write it; without spaces it is one run of letters.
var spaced = regexp.MustCompile(`(?i)[0-9A-Z]{4}(?:[ \t]+[0-9A-Z]{4}){8}`)

// text takes whatever reads like a key: 32 bytes in hex or base64, also with one
// byte before or behind (PRIVATE+KEY+ notes have it), and codes of all kinds.
func (l *loot) text(list *[]seal.Key, at string, b []byte) {
	for len(b) > 0 {
		n := 0
		for n < len(b) && inRun[b[n]] {
			n++
		}
		if n >= 36 {
			l.run(list, at, b[:n])
		}
		for n < len(b) && !inRun[b[n]] {
			n++
		}
		b = b[n:]
	}
}

// inRun are the characters of base64, in both alphabets, of hex and of codes.
var inRun = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-") {
		t[c] = true
	}
	return t
}()

func (l *loot) run(list *[]seal.Key, at string, run []byte) {
	l.code(list, at, run)
	l.base64(list, at, run)
	for part := range bytes.SplitSeq(run, []byte{'+'}) { // PRIVATE+KEY+name+hash+base64
		l.base64(list, at, part)
	}
	for len(run) >= 64 {
		n := 0
		for n < len(run) && isHex(run[n]) {
			n++
		}
		for ; n >= 64; n, run = n-64, run[64:] {
			if raw, err := hex.DecodeString(string(run[:64])); err == nil {
				l.add(list, at, raw)
			}
		}
		run = run[min(n+1, len(run)):]
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (l *loot) code(list *[]seal.Key, at string, text []byte) {
	for _, kind := range []seal.CodeKind{seal.Personal, seal.Kit, seal.Share} {
		if c, err := seal.ParseCode(kind, string(text)); err == nil {
			for _, k := range []seal.Key{c.KEK(), c.Auth(), c.Notes()} {
				l.add(list, at, k[:])
			}
		}
	}
}

func (l *loot) base64(list *[]seal.Key, at string, run []byte) {
	text := string(run)
	if len(text) != 43 && len(text) != 44 || !mixed(text) {
		return
	}
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	raw, err := encoding.DecodeString(text)
	if err != nil {
		return
	}
	l.add(list, at, raw[:32])
	l.add(list, at, raw[len(raw)-32:])
}

// mixed tells random base64 from words that are joined: of 43 random characters
// 24 are digits and capitals, and fewer than 12 once in ten thousand.
func mixed(text string) bool {
	n := 0
	for _, c := range []byte(text) {
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' {
			n++
		}
	}
	return n >= 12
}

// mostText is how much of one file is read for things like keys. The databases
// are read row by row, and sealed streams hold none.
const mostText = 64 << 20

// gather collects everything in a copy that could be a key.
func gather(ctx context.Context, dir string, db *store.DB) (*loot, error) {
	l := &loot{at: map[seal.Key]string{}}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		return l.file(path, rel)
	})
	if err != nil {
		return nil, err
	}
	return l, l.rows(ctx, db)
}

func (l *loot) file(path, rel string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return err
	}
	for _, raw := range [][]byte{b, bytes.TrimSpace(b)} {
		l.add(&l.near, rel, raw) // a file that is a key
	}
	name := filepath.Base(rel)
	stream := len(b) > 0 && b[0] == seal.Format && strings.Contains(filepath.ToSlash(rel), "house/blobs/")
	if stream || strings.Contains(name, ".db") {
		return nil
	}
	rest, err := io.ReadAll(io.LimitReader(f, mostText))
	if err != nil {
		return err
	}
	list := &l.near
	if rel == "program" {
		list = &l.far
	}
	b = append(b, rest...)
	l.text(list, rel, b)
	if rel != "program" {
		for _, code := range spaced.FindAll(b, -1) {
			l.code(list, rel, code)
		}
	}
	return nil
}

// Small tables are read whole; of larger ones, which hold a row for every
// record or fact, some rows.
const (
	smallTable = 512
	someRows   = 48
)

func (l *loot) rows(ctx context.Context, db *store.DB) error {
	tables, err := column(ctx, db, `SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := l.table(ctx, db, table); err != nil {
			return fmt.Errorf("read table %s: %w", table, err)
		}
	}
	return nil
}

func (l *loot) table(ctx context.Context, db *store.DB, table string) error {
	quoted := quote(table)
	var n int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM `+quoted).Scan(&n); err != nil {
		return err
	}
	query := `SELECT * FROM ` + quoted
	if n > smallTable {
		query += fmt.Sprintf(` WHERE rowid IN (SELECT rowid FROM %s ORDER BY random() LIMIT %d)`, quoted, someRows)
	}
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values, at := make([]any, len(columns)), "row of "+table
	for i := range values {
		values[i] = new(any)
	}
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			return err
		}
		for _, v := range values {
			switch x := (*v.(*any)).(type) {
			case []byte:
				l.value(at, x)
			case string:
				l.value(at, []byte(x))
			}
		}
	}
	return rows.Err()
}

func (l *loot) value(at string, b []byte) {
	l.add(&l.far, at, b)
	if len(b) > 0 && b[0] != seal.Format && len(b) < 1<<16 {
		l.text(&l.far, at, b)
	}
}

// robbery is what became of one copy.
type robbery struct {
	found   *loot
	doors   identity.Attempted
	records vault.Attempted
}

// rob tries everything in a copy that could be a key on everything that is
// sealed in it. What opens gives further keys, which are tried in their turn.
func rob(ctx context.Context, dir string, step func(done, total int)) (r robbery, err error) {
	s, err := readSettings(filepath.Join(dir, "house"))
	if err != nil {
		return r, err
	}
	db, err := store.Open(ctx, filepath.Join(dir, "whole.db"))
	if err != nil {
		return r, err
	}
	defer db.Close()
	if r.found, err = gather(ctx, dir, db); err != nil {
		return r, err
	}
	near, fresh := r.found.near, slices.Concat(r.found.near, r.found.far)
	all := fresh
	for len(fresh) > 0 {
		got, err := identity.Attempt{DB: db, Practice: s.ID, Keys: fresh, Near: near}.Run(ctx)
		if err != nil {
			return r, err
		}
		r.doors.Boxes, r.doors.Tries, r.doors.Opened = got.Boxes, r.doors.Tries+got.Tries, r.doors.Opened+got.Opened
		fresh = nil
		for _, k := range got.Keys {
			if r.found.at[k] == "" {
				r.found.at[k] = "opened with another"
				fresh, near, all = append(fresh, k), append(near, k), append(all, k)
			}
		}
	}
	shelf, err := disk.Open(filepath.Join(dir, "house", s.taken()))
	if err != nil {
		return r, err
	}
	defer shelf.Close()
	r.records, err = vault.Attempt{DB: db, Blobs: shelf, Practice: s.ID, Keys: all, Near: near, Step: step}.Run(ctx)
	return r, err
}

// opened is how many sealed things opened, but for those of one patient.
func (r robbery) opened(but id.Patient) int {
	n := r.doors.Opened + r.records.OpenedBoxes
	for p, records := range r.records.Opened {
		if p != but {
			n += records
		}
	}
	return n
}
