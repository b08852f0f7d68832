package ledger

import (
	"context"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// explain goes through the first bad tile fact by fact, and names the first
// that is bad.
func (v *verification) explain(ctx context.Context) (*Finding, error) {
	low := v.badTile * tileWidth
	high := min(low+groupSize, v.report.Facts)
	rows, err := v.l.page(ctx, statement{`SELECT n, body FROM ledger_facts WHERE n > $1 AND n <= $2 ORDER BY n`, []any{low, high}})
	if err != nil {
		return nil, err
	}
	stored, err := v.l.tiles(ctx, v.badTile, (high+tileWidth-1)/tileWidth)
	if err != nil {
		return nil, err
	}
	for n := low + 1; n <= high; n++ {
		if len(rows) == 0 || rows[0].n != n {
			return found(n, "fact %d is missing", n), nil
		}
		if len(rows) > 1 && rows[1].n == n {
			return found(n, "fact %d is there twice", n), nil
		}
		hashes := split(stored[(n-1)/tileWidth])
		at := int((n - 1) % tileWidth)
		if at >= len(hashes) {
			return found(n, "fact %d: its stored hash is missing", n), nil
		}
		if leaf := tlog.RecordHash([]byte(rows[0].body)); leaf != hashes[at] {
			return v.blame(ctx, n, leaf)
		}
		if _, err := parse(rows[0].body); err != nil {
			return found(n, "fact %d: its text is not in the one form of a fact, and was never written by this program", n), nil
		}
		rows = rows[1:]
	}
	return found(low+1, "facts %d to %d changed while they were read; verify again", low+1, high), nil
}

// blame tells which of a fact's text and its stored hash is the changed one:
// the other fits the signed head.
func (v *verification) blame(ctx context.Context, n int64, leaf Hash) (*Finding, error) {
	root, leaves, err := v.storedTree(ctx)
	if err != nil {
		return nil, err
	}
	if root != v.report.Head.Root {
		leaves[n-1] = leaf
		if merkle(leaves) == v.report.Head.Root {
			return found(n, "fact %d: its stored hash was changed", n), nil
		}
		return found(n, "fact %d: its text and its stored hash differ", n), nil
	}
	if other := int64(slices.Index(leaves, leaf)) + 1; other > 0 {
		return found(n, "fact %d: fact %d stands in its place", n, other), nil
	}
	return found(n, "fact %d: its text was changed", n), nil
}

// storedTree reads all stored leaf hashes. It costs memory, and only a ledger
// that is already known to be changed pays it.
func (v *verification) storedTree(ctx context.Context) (Hash, []Hash, error) {
	leaves := make([]Hash, v.report.Facts)
	for low := int64(0); low < v.report.Facts; low += groupSize {
		rows, err := v.l.tiles(ctx, low/tileWidth, (low+groupSize)/tileWidth)
		if err != nil {
			return Hash{}, nil, err
		}
		for tile, data := range rows {
			copy(leaves[min(tile*tileWidth, v.report.Facts):], split(data)[:min(tileWidth, len(data)/tlog.HashSize)])
		}
	}
	return merkle(leaves), leaves, nil
}
