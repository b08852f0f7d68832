package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"quietroom/ground/store"
)

// The tree is stored as tiles of height 8: a tile holds up to 256 neighbouring
// hashes of one level, and its root is one hash of the level above. So half of
// what tlog would store is left out and recomputed, and a proof needs few rows.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// merkle returns the root over neighbouring hashes (RFC 6962 section 2.1). The
// last one may stand for a part of the tree that is not full yet.
func merkle(hashes []Hash) Hash {
	switch len(hashes) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return hashes[0]
	}
	left := 1 << (bits.Len(uint(len(hashes)-1)) - 1) // largest power of two below the count
	return tlog.NodeHash(merkle(hashes[:left]), merkle(hashes[left:]))
}

// edge is the right-hand edge of a tree, from which it grows: for each level
// the hashes of the tile that is not full yet.
type edge struct {
	size   int64
	levels [][]Hash
}

// push adds a hash to a level, and hands every tile that becomes full to full.
func (e *edge) push(level int, h Hash, full func(level int, hashes []Hash)) {
	if level == len(e.levels) {
		e.levels = append(e.levels, nil)
	}
	if level == 0 {
		e.size++
	}
	e.levels[level] = append(e.levels[level], h)
	if len(e.levels[level]) < tileWidth {
		return
	}
	hashes := e.levels[level]
	full(level, hashes)
	e.levels[level] = nil
	e.push(level+1, merkle(hashes), full)
}

// root folds the edge from the right: what is not full on one level is the last
// part of the level above.
func (e *edge) root() Hash {
	var part []Hash
	for _, hashes := range e.levels {
		if whole := append(hashes[:len(hashes):len(hashes)], part...); len(whole) > 0 {
			part = []Hash{merkle(whole)}
		}
	}
	return merkle(part)
}

// tileAt returns which tile of a level is the last of a tree of size facts, and
// how many hashes it holds; 0 if the level ends with a full tile.
func tileAt(size int64, level int) (tile int64, width int) {
	count := size >> (tileHeight * level)
	return count / tileWidth, int(count % tileWidth)
}

// readEdge reads the edge of a tree of size facts.
func readEdge(ctx context.Context, q querier, size int64) (*edge, error) {
	e := &edge{size: size}
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		tile, width := tileAt(size, level)
		var hashes []Hash
		if width > 0 {
			data, err := readTile(ctx, q, level, tile)
			if err != nil {
				return nil, err
			}
			if hashes = split(data); len(hashes) < width {
				return nil, fmt.Errorf("hashes %d/%d are cut short: %w", level, tile, ErrBroken)
			}
			hashes = hashes[:width]
		}
		e.levels = append(e.levels, hashes)
	}
	return e, nil
}

func readTile(ctx context.Context, q querier, level int, tile int64) ([]byte, error) {
	var data []byte
	err := q.QueryRowContext(ctx, `SELECT hashes FROM ledger_tiles WHERE level = $1 AND tile = $2`, level, tile).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("hashes %d/%d are missing: %w", level, tile, ErrBroken)
	}
	if err != nil {
		return nil, fmt.Errorf("read hashes %d/%d: %w", level, tile, err)
	}
	return data, nil
}

func writeTile(ctx context.Context, tx *store.Tx, level int, tile int64, hashes []Hash) error {
	err := tx.Send(ctx, `INSERT INTO ledger_tiles (level, tile, hashes) VALUES ($1, $2, $3)
		ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes`, level, tile, join(hashes))
	if err != nil {
		return fmt.Errorf("write hashes %d/%d: %w", level, tile, err)
	}
	return nil
}

func split(data []byte) []Hash {
	hashes := make([]Hash, len(data)/tlog.HashSize)
	for i := range hashes {
		copy(hashes[i][:], data[i*tlog.HashSize:])
	}
	return hashes
}

func join(hashes []Hash) []byte {
	data := make([]byte, 0, len(hashes)*tlog.HashSize)
	for i := range hashes {
		data = append(data, hashes[i][:]...)
	}
	return data
}
