package vault

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"

	"quietroom/ground/ledger"
)

// Whether the directory is whole is told by facts: each change of it keeps the
// sum of its rows, and each merge the sum of the base. So a name that was taken
// out, or a directory that was put back to an older one, is noticed when the
// directory is loaded, without a key.

// Kinds of the directory's facts; Version is the generation.
const (
	listed     = "vault.directory-changed"
	listMerged = "vault.directory-merged"
)

func sumRows(rows []sealedEntry) []byte {
	rows = slices.SortedFunc(slices.Values(rows), func(a, b sealedEntry) int { return cmp.Compare(a.patient, b.patient) })
	h := sha256.New()
	for _, r := range rows {
		sumParts(h, r.epoch, []byte(r.patient), r.box)
	}
	return h.Sum(nil)
}

func sumBase(base []*segment) []byte {
	h := sha256.New()
	for _, s := range base {
		sumParts(h, s.number, nil)
		sumParts(h, s.epoch, s.ids, s.texts)
		sumParts(h, uint64(len(s.blocks)), s.blocks...)
	}
	return h.Sum(nil)
}

func sumParts(h hash.Hash, n uint64, parts ...[]byte) {
	var b [8]byte
	h.Write(binary.BigEndian.AppendUint64(b[:0], n))
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(b[:0], uint64(len(p))))
		h.Write(p)
	}
}

// readChecked reads the sealed directory of a generation and compares it with
// the facts.
func (v *Vault) readChecked(ctx context.Context, number uint64) ([]*segment, []sealedEntry, error) {
	base, err := v.readBase(ctx)
	if err != nil {
		return nil, nil, err
	}
	tail, err := v.readTail(ctx, 0)
	if err != nil {
		return nil, nil, err
	}
	changes := map[uint64][]sealedEntry{}
	for _, e := range tail {
		changes[e.at] = append(changes[e.at], e)
	}
	changed := func(what string) ([]*segment, []sealedEntry, error) {
		return nil, nil, fmt.Errorf("%w: the directory: %s", ErrChanged, what)
	}
	newest, merged, sum := uint64(0), uint64(0), sumBase(nil)
	known := false // the newest merge was found
	for e, err := range v.Ledger.Facts(ctx, ledger.Query{Kinds: []string{listed, listMerged}, Newest: true}) {
		if err != nil {
			return nil, nil, err
		}
		at := uint64(e.Version)
		newest = max(newest, at)
		switch {
		case e.Kind == listMerged && !known:
			known, merged, sum = true, at, e.Hash
		case e.Kind == listed && (!known || at > merged):
			if !bytes.Equal(sumRows(changes[at]), e.Hash) {
				return changed(fmt.Sprintf("change %d is not as it was written", at))
			}
			delete(changes, at)
			continue
		}
		if known && e.Kind == listed {
			break
		}
	}
	switch {
	case v.weak:
	case len(changes) > 0:
		return changed("there are changes that nobody wrote")
	case newest != number:
		return changed(fmt.Sprintf("it stands at change %d, and change %d was written", number, newest))
	case !bytes.Equal(sumBase(base), sum):
		return changed("its base is not the one that was merged")
	}
	return base, tail, nil
}
