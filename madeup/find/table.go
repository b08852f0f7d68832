package find

import "math/bits"

// table knows windows by their hash. Three bits in one word of the filter tell
// most unknown windows apart; the rest are looked up in buckets.
type table struct {
	filter  []uint64
	shift   uint
	starts  []uint32 // bucket k is entries[starts[k]:starts[k+1]]
	entries []entry
}

type hashed struct {
	h uint64
	e entry
}

func newTable(all []hashed) table {
	logBuckets := bits.Len(uint(len(all)))
	logWords := max(logBuckets-2, 6) // 16 to 32 bits a spelling
	t := table{
		filter:  make([]uint64, 1<<logWords),
		shift:   uint(64 - logWords),
		starts:  make([]uint32, 1<<logBuckets+1),
		entries: make([]entry, len(all)),
	}
	for _, x := range all {
		t.filter[x.h>>t.shift] |= 1<<(x.h&63) | 1<<(x.h>>6&63) | 1<<(x.h>>12&63)
		t.starts[t.number(x.h)+1]++
	}
	for k := range len(t.starts) - 1 {
		t.starts[k+1] += t.starts[k]
	}
	at := make([]uint32, len(t.starts))
	copy(at, t.starts)
	for _, x := range all {
		k := t.number(x.h)
		t.entries[at[k]] = x.e
		at[k]++
	}
	return t
}

func (t *table) number(h uint64) int { return int(h>>18) & (len(t.starts) - 2) }

func (t *table) bucket(h uint64) []entry {
	k := t.number(h)
	return t.entries[t.starts[k]:t.starts[k+1]]
}
