package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// Options says how Verify works.
type Options struct {
	Witness []Checkpoint            // heads that others have kept, from ParseCheckpoint
	Step    func(done, total int64) // told now and then how many facts are read; may be nil
}

// Report is what Verify found.
type Report struct {
	Head    Checkpoint `json:"head"`              // the newest head
	Facts   int64      `json:"facts"`             // how many facts it covers
	Waiting int64      `json:"waiting"`           // facts not numbered yet, of which nothing can be said
	Witness int64      `json:"witness"`           // size of the largest witnessed head that fits, 0 without one
	Finding *Finding   `json:"finding,omitempty"` // the first thing that does not hold; nil if all holds
}

// Held tells whether everything holds.
func (r Report) Held() bool { return r.Finding == nil }

// Finding is the first bad row.
type Finding struct {
	Fact int64  `json:"fact"` // its number, or the first that it may be; 0 for a head
	Text string `json:"text"` // "fact 31337: its text was changed"
}

func found(fact int64, format string, args ...any) *Finding {
	return &Finding{fact, fmt.Sprintf(format, args...)}
}

// Verify reads the whole ledger again: every fact against its stored hash, all
// hashes against every signed head and every witnessed one. It names the first
// row that does not fit. With the signing key it numbers the waiting facts
// first. An error means that it could not read, and says nothing of the facts.
//
// What was truncated or rewritten with the real key is found only with a witness.
func (l *Ledger) Verify(ctx context.Context, o Options) (Report, error) {
	var unnumbered error
	if l.key.signer != nil {
		unnumbered = l.drain(ctx)
	}
	v := &verification{l: l, o: o}
	if err := v.run(ctx); err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	if v.report.Held() && unnumbered != nil {
		return v.report, fmt.Errorf("verify: %w", unnumbered)
	}
	return v.report, nil
}

type verification struct {
	l      *Ledger
	o      Options
	report Report

	lowest  int64        // the lowest number there is
	highest int64        // and the highest
	heads   []Checkpoint // the signed ones, by size
	badHead *Finding
	roots   []Hash // of every full tile, computed from the facts
	badTile int64  // the first tile whose facts and hashes differ, -1 if none
}

func (v *verification) run(ctx context.Context) error {
	// First how far facts go, then the heads: a head never falls behind.
	err := v.l.db.QueryRowContext(ctx, `SELECT COALESCE((SELECT MIN(n) FROM ledger_facts), 1),
		COALESCE((SELECT MAX(n) FROM ledger_facts), 0), (SELECT count(*) FROM ledger_waiting)`).
		Scan(&v.lowest, &v.highest, &v.report.Waiting)
	if err != nil {
		return err
	}
	if v.report.Finding, err = v.l.tables(ctx); err != nil || v.report.Finding != nil {
		return err
	}
	if err := v.readHeads(ctx); err != nil {
		return err
	}
	if err := v.walk(ctx); err != nil {
		return err
	}
	if v.badTile >= 0 {
		v.report.Finding, err = v.explain(ctx)
		return err
	}
	for _, look := range []func(context.Context) (*Finding, error){v.anchors, v.head, v.beyond, v.upper, v.waiting} {
		if v.report.Finding, err = look(ctx); err != nil || v.report.Finding != nil {
			return err
		}
	}
	return nil
}

func (v *verification) readHeads(ctx context.Context) error {
	rows, err := v.l.db.QueryContext(ctx, `SELECT size, note FROM ledger_heads ORDER BY size, day`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var size int64
		var text string
		if err := rows.Scan(&size, &text); err != nil {
			return err
		}
		c, err := ParseCheckpoint([]byte(text), v.l.key)
		switch {
		case err != nil:
			v.badHead = found(0, "the head of %d facts: the house's key did not sign it", size)
		case c.Size != size:
			v.badHead = found(0, "the head of %d facts: it stands in the place of one of %d", c.Size, size)
			v.heads = append(v.heads, c)
		default:
			v.heads = append(v.heads, c)
		}
	}
	slices.SortStableFunc(v.heads, func(a, b Checkpoint) int { return int(a.Size - b.Size) })
	if len(v.heads) > 0 {
		v.report.Head = v.heads[len(v.heads)-1]
		v.report.Facts = v.report.Head.Size
		return rows.Err()
	}
	if v.badHead == nil {
		v.badHead = found(0, "the head of the tree is missing")
	}
	return rows.Err()
}

// groupSize is how many facts are read by one query: rows one by one cost more
// than hashing them.
const groupSize = 32 * tileWidth

// walk reads every fact and hash up to the newest head, on all processors.
func (v *verification) walk(ctx context.Context) error {
	size := v.report.Facts
	v.roots, v.badTile = make([]Hash, size/tileWidth), -1
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		work sync.WaitGroup
		lock sync.Mutex
		done int64
		next = make(chan int64)
	)
	for range 2 * runtime.GOMAXPROCS(0) { // while one waits for PostgreSQL, another hashes
		work.Go(func() {
			g := group{v: v}
			for low := range next {
				high := min(low+groupSize, size)
				bad, err := g.check(ctx, low, high)
				if err != nil {
					stop(err)
				}
				lock.Lock()
				if bad >= 0 && (v.badTile < 0 || bad < v.badTile) {
					v.badTile = bad
				}
				if done += high - low; v.o.Step != nil {
					v.o.Step(done, size)
				}
				lock.Unlock()
			}
		})
	}
	for low := int64(0); low < size && ctx.Err() == nil; low += groupSize {
		next <- low
	}
	close(next)
	work.Wait()
	return context.Cause(ctx)
}

// group is one worker's memory.
type group struct {
	v    *verification
	text string
	leaf []byte
}

// check compares the facts above low, up to high, with their stored hashes. It
// returns the first tile where they differ, or -1.
func (g *group) check(ctx context.Context, low, high int64) (bad int64, err error) {
	count, err := g.read(ctx, low, high)
	if err != nil {
		return 0, err
	}
	stored, err := g.v.l.tiles(ctx, low/tileWidth, (high+tileWidth-1)/tileWidth)
	if err != nil {
		return 0, err
	}
	if count != high-low || int64(strings.Count(g.text, "\n")) != count-1 {
		return low / tileWidth, nil
	}
	rest := g.text
	for tile := low / tileWidth; tile*tileWidth < high; tile++ {
		var leaves []Hash
		var fits bool
		leaves, rest, fits = g.hashLines(rest, min(tileWidth, high-tile*tileWidth))
		data := stored[tile]
		if !fits || len(data) < len(leaves)*tlog.HashSize || !bytes.Equal(join(leaves), data[:len(leaves)*tlog.HashSize]) {
			return tile, nil
		}
		if len(leaves) == tileWidth {
			g.v.roots[tile] = merkle(leaves)
		}
	}
	return -1, nil
}

// read fetches bodies in one row, a line feed between two.
func (g *group) read(ctx context.Context, low, high int64) (count int64, err error) {
	err = g.v.l.db.Raw(ctx, func(values [][]byte) (err error) {
		g.text = string(values[1])
		count, err = strconv.ParseInt(string(values[0]), 10, 64)
		return err
	}, `SELECT CAST(count(*) AS TEXT), COALESCE(string_agg(body, $1), '')
		FROM (SELECT body FROM ledger_facts WHERE n > $2 AND n <= $3 ORDER BY n) AS f`, "\n", low, high)
	return count, err
}

// hashLines hashes the first lines of text, and tells whether each is a body in
// its one form. A leaf is the hash of a zero byte and the body (RFC 6962).
func (g *group) hashLines(text string, lines int64) (leaves []Hash, rest string, fits bool) {
	leaves = make([]Hash, lines)
	for i := range leaves {
		body, rest, _ := strings.Cut(text, "\n")
		if _, err := parse(body); err != nil {
			return leaves, text, false
		}
		g.leaf = append(append(g.leaf[:0], 0), body...)
		leaves[i] = sha256.Sum256(g.leaf)
		text = rest
	}
	return leaves, text, true
}

// tiles reads rows of leaf hashes.
func (l *Ledger) tiles(ctx context.Context, from, to int64) (map[int64][]byte, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT tile, hashes FROM ledger_tiles WHERE level = 0 AND tile >= $1 AND tile < $2`, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[int64][]byte, to-from)
	for rows.Next() {
		var tile int64
		var data []byte
		if err := rows.Scan(&tile, &data); err != nil {
			return nil, err
		}
		found[tile] = data
	}
	return found, rows.Err()
}

// anchors compares the tree of the facts, as it was at each signed and each
// witnessed head, with that head. The first that does not fit says between
// which facts something was rewritten.
func (v *verification) anchors(ctx context.Context) (*Finding, error) {
	type anchor struct {
		Checkpoint
		witness bool
	}
	var all []anchor
	for _, c := range v.heads {
		all = append(all, anchor{c, false})
	}
	for _, c := range v.o.Witness {
		all = append(all, anchor{c, true})
	}
	slices.SortStableFunc(all, func(a, b anchor) int { return int(a.Size - b.Size) })
	e := &edge{levels: make([][]Hash, 1)}
	good, seen := int64(0), int64(0) // sizes of the last head, and of the last witnessed one, that fits
	for _, a := range all {
		if a.Size > v.report.Facts {
			return found(v.report.Facts+1, "facts %d to %d are gone: a witness has seen %d facts", v.report.Facts+1, a.Size, a.Size), nil
		}
		root, err := v.rootAt(ctx, e, a.Size)
		if err != nil {
			return nil, err
		}
		switch {
		case root == a.Root:
			good = a.Size
			if a.witness {
				seen, v.report.Witness = a.Size, a.Size
			}
		case a.witness: // whoever rewrote facts with the real key has signed the house's own heads anew
			f, err := v.narrow(ctx, seen, a.Size)
			if f == nil && err == nil {
				f = found(seen+1, "facts %d to %d are not the ones that a witness has seen", seen+1, a.Size)
			}
			return f, err
		default:
			f, err := v.narrow(ctx, good, a.Size)
			if f == nil && err == nil {
				f = found(good+1, "facts %d to %d are not the ones that the head of %d facts was signed for", good+1, a.Size, a.Size)
			}
			return f, err
		}
	}
	return nil, nil
}

// rootAt returns the root over the first size facts. The edge grows from call to call.
func (v *verification) rootAt(ctx context.Context, e *edge, size int64) (Hash, error) {
	for ; e.size < size/tileWidth; e.size++ { // here it counts tiles
		e.levels[0] = nil
		e.push(1, v.roots[e.size], func(int, []Hash) {})
	}
	e.levels[0] = nil
	if width := size % tileWidth; width > 0 { // read before, and found equal to the facts
		data, err := readTile(ctx, v.l.db, 0, size/tileWidth)
		if err != nil {
			return Hash{}, err
		}
		e.levels[0] = split(data[:width*tlog.HashSize])
	}
	return e.root(), nil
}

// narrow looks for the tile that was rewritten together with its hashes: its
// root stands unchanged one level up, if nobody thought of that. It returns nil
// where somebody did.
func (v *verification) narrow(ctx context.Context, good, size int64) (*Finding, error) {
	for tile := range (size + tileWidth - 1) / tileWidth {
		if tile >= int64(len(v.roots)) || tile < good/tileWidth {
			continue
		}
		data, err := readTile(ctx, v.l.db, 1, tile/tileWidth)
		if errors.Is(err, ErrBroken) {
			break
		}
		if err != nil {
			return nil, err
		}
		if at := int(tile%tileWidth) * tlog.HashSize; len(data) < at+tlog.HashSize || !bytes.Equal(data[at:at+tlog.HashSize], v.roots[tile][:]) {
			first := max(good, tile*tileWidth) + 1
			return found(first, "facts %d to %d: one of them was changed, and its stored hash with it", first, min(size, (tile+1)*tileWidth)), nil
		}
	}
	return nil, nil
}

func (v *verification) head(context.Context) (*Finding, error) { return v.badHead, nil }

// beyond finds numbers that no head covers: the head was put back, or somebody
// has put in a fact without it.
func (v *verification) beyond(ctx context.Context) (*Finding, error) {
	if v.lowest < 1 {
		return found(v.lowest, "fact %d: numbers begin at 1, it was put in by a stranger", v.lowest), nil
	}
	if n := v.report.Facts + 1; v.highest >= n {
		return found(n, "fact %d has a number, and no signed head covers it", n), nil
	}
	return nil, nil
}

// upper compares the stored hashes above the leaves with the computed ones.
func (v *verification) upper(ctx context.Context) (*Finding, error) {
	hashes := v.roots
	for level := 1; len(hashes) > 0; level++ {
		var above []Hash
		for tile := int64(0); len(hashes) > 0; tile++ {
			width := min(len(hashes), tileWidth)
			data, err := readTile(ctx, v.l.db, level, tile)
			if err != nil && !errors.Is(err, ErrBroken) {
				return nil, err
			}
			if want := join(hashes[:width]); !bytes.HasPrefix(data, want) {
				first := tile<<(tileHeight*(level+1)) + 1
				return found(first, "fact %d: a hash stored above it was changed (row %d/%d)", first, level, tile), nil
			}
			if width == tileWidth {
				above = append(above, merkle(hashes[:width]))
			}
			hashes = hashes[width:]
		}
		hashes = above
	}
	return nil, nil
}

// waiting finds rows that only a stranger can have put among the waiting facts.
func (v *verification) waiting(ctx context.Context) (*Finding, error) {
	rows, err := v.l.page(ctx, statement{text: `SELECT id, body, mac FROM ledger_waiting ORDER BY id`})
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if _, err := r.entry(); err != nil {
			return found(0, "a waiting fact (row %d) was not written by this program", r.n), nil
		}
	}
	return nil, nil
}
