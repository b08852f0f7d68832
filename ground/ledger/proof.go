package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Inclusion shows that one fact stands in the tree of a checkpoint. It is
// complete in itself and can travel as JSON in a proof bundle.
type Inclusion struct {
	N      int64  `json:"n"`    // the fact's number
	Body   string `json:"body"` // its text
	Size   int64  `json:"size"` // of the tree
	Hashes []Hash `json:"hashes"`
}

// Consistency shows that the tree of one checkpoint is the beginning of the
// tree of a later one: nothing was changed, removed or put in between.
type Consistency struct {
	Old    int64  `json:"old"` // size of the earlier tree
	New    int64  `json:"new"` // size of the later tree
	Hashes []Hash `json:"hashes"`
}

// errProof says that a proof does not show what it should.
var errProof = errors.New("ledger: the proof does not fit the checkpoint")

// Check returns the fact that the proof shows to stand in the tree of c. It
// needs no database; c comes from ParseCheckpoint.
func (p Inclusion) Check(c Checkpoint) (Entry, error) {
	f, err := parse(p.Body)
	if err != nil {
		return Entry{}, err
	}
	if p.Size != c.Size || tlog.CheckRecord(p.Hashes, c.Size, c.Root, p.N-1, tlog.RecordHash([]byte(p.Body))) != nil {
		return Entry{}, errProof
	}
	return Entry{Fact: f, N: p.N}, nil
}

// Check tells whether the tree of older is the beginning of the tree of newer.
// It needs no database; both come from ParseCheckpoint.
func (p Consistency) Check(older, newer Checkpoint) error {
	if p.Old != older.Size || p.New != newer.Size || p.Old > p.New {
		return errProof
	}
	if p.Old == 0 { // the empty tree begins every tree
		if len(p.Hashes) > 0 || older.Root != merkle(nil) || p.New == 0 && newer.Root != older.Root {
			return errProof
		}
		return nil
	}
	if tlog.CheckTree(p.Hashes, newer.Size, newer.Root, older.Size, older.Root) != nil {
		return errProof
	}
	return nil
}

// Prove shows that fact n stands in the tree of the newest head. ErrNoFact if
// it does not, or not yet.
func (l *Ledger) Prove(ctx context.Context, n int64) (Inclusion, error) {
	head, err := l.Head(ctx)
	if err != nil {
		return Inclusion{}, err
	}
	p, err := l.prove(ctx, n, head.Size, head)
	if err != nil {
		return p, err
	}
	if _, err := p.Check(head); err != nil {
		return Inclusion{}, fmt.Errorf("prove fact %d: %w: %w", n, ErrBroken, err)
	}
	return p, nil
}

// ProveIn shows that fact n stands in the tree of the first size facts, so that
// many facts can be proved against one head while the house goes on.
func (l *Ledger) ProveIn(ctx context.Context, n, size int64) (Inclusion, error) {
	head, err := l.Head(ctx)
	if err != nil {
		return Inclusion{}, err
	}
	if size > head.Size {
		return Inclusion{}, fmt.Errorf("prove fact %d in %d of %d: %w", n, size, head.Size, ErrNoFact)
	}
	return l.prove(ctx, n, size, head)
}

func (l *Ledger) prove(ctx context.Context, n, size int64, head Checkpoint) (Inclusion, error) {
	if n < 1 || n > size {
		return Inclusion{}, fmt.Errorf("prove fact %d of %d: %w", n, size, ErrNoFact)
	}
	p := Inclusion{N: n, Size: size}
	err := l.db.QueryRowContext(ctx, `SELECT body FROM ledger_facts WHERE n = $1`, n).Scan(&p.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return Inclusion{}, fmt.Errorf("fact %d is missing: %w", n, ErrBroken)
	}
	if err != nil {
		return Inclusion{}, fmt.Errorf("prove fact %d: %w", n, err)
	}
	if p.Hashes, err = tlog.ProveRecord(size, n-1, l.tree(ctx, head)); err != nil {
		return Inclusion{}, fmt.Errorf("prove fact %d: %w", n, err)
	}
	return p, nil
}

// Consistency shows that the newest head's tree (or an earlier one's, of newer
// facts) begins with that of older facts. ErrNoFact if there are fewer facts:
// whoever remembers older has then seen facts that are gone.
func (l *Ledger) Consistency(ctx context.Context, older, newer int64) (Consistency, error) {
	head, err := l.Head(ctx)
	if err != nil {
		return Consistency{}, err
	}
	if older < 0 || older > newer || newer > head.Size {
		return Consistency{}, fmt.Errorf("prove %d facts to begin %d of %d: %w", older, newer, head.Size, ErrNoFact)
	}
	p := Consistency{Old: older, New: newer}
	if older == 0 {
		return p, nil
	}
	if p.Hashes, err = tlog.ProveTree(newer, older, l.tree(ctx, head)); err != nil {
		return Consistency{}, fmt.Errorf("prove %d facts to begin %d: %w", older, newer, err)
	}
	return p, nil
}

// tree reads hashes from the stored tiles and checks each against the signed
// head, so that no proof is ever made of altered hashes.
func (l *Ledger) tree(ctx context.Context, head Checkpoint) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: head.Size, Hash: head.Root}, tiles{ctx, l.db})
}

// tiles implements tlog.TileReader.
type tiles struct {
	ctx context.Context
	q   querier
}

func (t tiles) Height() int { return tileHeight }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(wanted))
	for i, w := range wanted {
		tile, err := readTile(t.ctx, t.q, w.L, w.N)
		if err != nil {
			return nil, err
		}
		if len(tile) < w.W*tlog.HashSize {
			return nil, fmt.Errorf("hashes %d/%d are cut short: %w", w.L, w.N, ErrBroken)
		}
		data[i] = tile[:w.W*tlog.HashSize]
	}
	return data, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {} // nothing to keep: they come from the database
