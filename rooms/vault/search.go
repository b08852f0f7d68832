package vault

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
)

// Search looks for patients by any part of name, birth date or phone number;
// several words have to fit all. An empty text lists the first in order of
// names. It appends one fact with the number shown and a sealed list of whom.
func (v *Vault) Search(ctx context.Context, text string, limit int) (Found, error) {
	all, err := v.teams(ctx)
	if err != nil {
		return Found{}, err
	}
	if v.Gate != nil {
		if err := v.Gate.MayOpen(ctx, id.From(ctx), Identity); err != nil {
			return Found{}, err
		}
	}
	if err := v.ready(ctx); err != nil {
		return Found{}, err
	}
	keys := v.dirKeys(ctx, all)
	f, err := v.look(keys, terms(text), limit)
	if err != nil {
		return Found{}, err
	}
	return f, v.recordSearch(ctx, keys, f)
}

// terms splits what was typed into folded words. Dates become 1991-03-04, and
// what else reads like a phone number becomes digits.
func terms(text string) (words [][]byte) {
	for _, w := range strings.Fields(fold(text)) {
		if iso := isoDate(w); iso != "" {
			w = iso
		} else if strings.Trim(w, "0123456789-()+.") == "" {
			w = digits(w)
		}
		if w = strings.TrimRight(w, ","); w != "" {
			words = append(words, []byte(w))
		}
	}
	return words
}

var usDate = regexp.MustCompile(`^(\d{1,2})/(\d{1,2})(?:/(\d{4}))?$`)

// isoDate reads 3/4/1991, 3/4, 1991-03 and 1991-03-04 as a birth date is kept; "" for anything else.
func isoDate(w string) string {
	if len(w) >= 5 && w[4] == '-' && (w[:2] == "19" || w[:2] == "20") {
		return w
	}
	m := usDate.FindStringSubmatch(w)
	if m == nil {
		return ""
	}
	return fmt.Sprintf("%s-%02s-%02s", m[3], m[1], m[2])
}

func (v *Vault) look(keys *dirKeys, words [][]byte, limit int) (f Found, err error) {
	d := &v.dir
	if err := v.hold(keys); err != nil {
		return f, err
	}
	defer d.mu.RUnlock()
	segments := d.segments()
	hits, err := v.scan(keys, segments, words, limit)
	if err != nil {
		return f, err
	}
	var lines []dirLine
	wanted := limit
	for i, s := range segments {
		f.All += s.n - s.gone
		f.Total += hits[i].n
		if s == d.fresh {
			wanted = limit // the fresh ones stand anywhere among the base
		}
		some, err := v.linesAt(keys, s, hits[i].at[:min(wanted, len(hits[i].at))])
		if err != nil {
			return f, err
		}
		wanted -= len(some)
		lines = append(lines, some...)
	}
	changed, err := v.openPending(keys)
	if err != nil {
		return f, err
	}
	for _, l := range changed {
		f.All++
		if fits([]byte(l.text), words) {
			f.Total++
			lines = append(lines, l)
		}
	}
	for i := range lines {
		lines[i].text = fold(lines[i].Name)
	}
	slices.SortFunc(lines, dirLine.compare)
	for _, l := range lines[:min(limit, len(lines))] {
		f.Lines = append(f.Lines, l.Line)
	}
	return f, nil
}

// hold brings memory into a state that can be searched, and keeps it so until
// the caller calls v.dir.mu.RUnlock.
func (v *Vault) hold(keys *dirKeys) error {
	d := &v.dir
	d.mu.RLock()
	if d.indexed && len(d.pending) <= pendingMost {
		return nil
	}
	d.mu.RUnlock()
	d.mu.Lock()
	err := v.current(keys, false)
	d.mu.Unlock()
	if err == nil {
		d.mu.RLock()
	}
	return err
}

// segments are the base and what changed since. The caller holds the lock.
func (d *directory) segments() []*segment {
	if d.fresh == nil {
		return d.base
	}
	return append(slices.Clone(d.base), d.fresh)
}

func (l dirLine) compare(m dirLine) int {
	return cmp.Or(strings.Compare(l.text, m.text), strings.Compare(string(l.Patient), string(m.Patient)))
}

// hits are the places in one segment that fit.
type hits struct {
	n  int
	at []int // the first of them
}

// scan looks through all segments, two at a time.
func (v *Vault) scan(keys *dirKeys, segments []*segment, words [][]byte, limit int) ([]hits, error) {
	found, errs := make([]hits, len(segments)), make([]error, 2)
	for _, s := range segments {
		if _, err := keys.of(s.epoch); err != nil { // open every key before the two go off
			return nil, err
		}
	}
	var wg sync.WaitGroup
	for half := range errs {
		wg.Go(func() {
			for i := half; i < len(segments) && errs[half] == nil; i += 2 {
				found[i], errs[half] = v.scanSegment(keys, segments[i], words, limit)
			}
		})
	}
	wg.Wait()
	return found, cmp.Or(errs[0], errs[1])
}

// room for opened texts, wiped before it is put back.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

func (v *Vault) scanSegment(keys *dirKeys, s *segment, words [][]byte, limit int) (h hits, err error) {
	if len(words) == 0 {
		return everyone(s, limit), nil
	}
	key := keys.keys[s.epoch]
	room := rooms.Get().(*[]byte)
	defer rooms.Put(room)
	texts, err := key.OpenInto((*room)[:0], s.texts, v.segmentSlot("texts", s, 0))
	if err != nil {
		return h, fmt.Errorf("%w: the directory", ErrChanged)
	}
	*room = texts
	defer clear(texts)
	// Jump from hit to hit of the longest word, which is the rarest, and look at those lines only.
	longest := slices.MaxFunc(words, func(a, b []byte) int { return cmp.Compare(len(a), len(b)) })
	number, start := 0, 0
	for {
		i := bytes.Index(texts[start:], longest)
		if i < 0 {
			return h, nil
		}
		i += start
		number += bytes.Count(texts[start:i], newline)
		from := bytes.LastIndexByte(texts[:i], '\n') + 1
		to := i + bytes.IndexByte(texts[i:], '\n')
		if !s.dead[number] && fits(texts[from:to], words) {
			h.n++
			if len(h.at) < limit {
				h.at = append(h.at, number)
			}
		}
		number, start = number+1, to+1
	}
}

var newline = []byte{'\n'}

func everyone(s *segment, limit int) hits {
	h := hits{n: s.n - s.gone}
	for i := 0; i < s.n && len(h.at) < limit; i++ {
		if !s.dead[i] {
			h.at = append(h.at, i)
		}
	}
	return h
}

func fits(text []byte, words [][]byte) bool {
	for _, w := range words {
		if !bytes.Contains(text, w) {
			return false
		}
	}
	return true
}

// linesAt opens the blocks that hold these places, and reads those lines.
func (v *Vault) linesAt(keys *dirKeys, s *segment, at []int) ([]dirLine, error) {
	var found []dirLine
	var block, left []byte // the opened block, and what of it was not passed yet
	opened, next := -1, 0  // which block it is, and the place where left begins
	defer func() { clear(block) }()
	for _, i := range at {
		if i/blockSize != opened {
			opened, next = i/blockSize, i/blockSize*blockSize
			var err error
			if block, err = keys.keys[s.epoch].OpenInto(block, s.blocks[opened], v.segmentSlot("lines", s, opened)); err != nil {
				return nil, fmt.Errorf("%w: the directory", ErrChanged)
			}
			left = block
		}
		var one []byte
		for ; next <= i; next++ {
			one, left, _ = bytes.Cut(left, newline)
		}
		l, err := readLine(one)
		if err != nil {
			return nil, err
		}
		found = append(found, dirLine{Line: l})
	}
	return found, nil
}

// recordSearch appends the fact that names were shown: how many, and in a
// sealed list, whose. The same list in the same session within a minute is the
// same search.
func (v *Vault) recordSearch(ctx context.Context, keys *dirKeys, f Found) error {
	var shown bytes.Buffer
	for _, l := range f.Lines {
		shown.WriteString(string(l.Patient))
	}
	a := id.From(ctx)
	o := opening{session: a.Session, patient: listName(shown.Bytes()), part: "search"}
	now := v.Now()
	v.mu.Lock()
	until, ok := v.opened[o]
	v.mu.Unlock()
	if ok && now.Before(until) {
		return nil
	}
	key, team, err := v.directoryKey(ctx, keys.teams, 0)
	if err != nil {
		return err
	}
	ref := string(id.New[id.Record]())
	slot := v.slot("shown", "", "", "")
	slot.Record = ref
	box := key.Seal(shown.Bytes(), slot)
	sum := sha256.Sum256(box)
	err = v.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO vault_shown (ref, epoch, box) VALUES ($1, $2, $3)`, ref, team.Epoch, box); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: a, Kind: "vault.searched", Version: int64(len(f.Lines)), Ref: ref, Hash: sum[:]})
	})
	if err == nil {
		v.remember(o, now)
	}
	return err
}

// listName names a list of patients in memory.
func listName(ids []byte) id.Patient {
	sum := sha256.Sum256(ids)
	return id.Patient(sum[:])
}
