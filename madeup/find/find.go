// Package find looks for many secrets in what a thief would carry away:
// databases, backups, programs, logs. Each secret is looked for as it is and in
// the spellings that machines give it, also inside compressed streams.
//
// What it does not see: other compressions and ciphers, base64 or hex that is
// broken into lines, other cases of letters, and a secret that is stored in
// pieces. Where a whole practice lies in plain text it is slow, a few megabytes
// a second, because nearly every place is a candidate: stop at the first hits.
package find

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
)

// Shortest is the length in bytes of the shortest secret that is looked for:
// shorter ones appear by chance.
const Shortest = 8

// Finder knows the secrets. It never changes and may be used from many
// goroutines. It holds about 20 bytes for each spelling of a secret.
type Finder struct {
	secrets []string
	index   []int32 // of each secret, as it was given to New
	longest int     // spelling, in bytes

	// A window of eight bytes from each spelling stands for it, of ASCII where
	// it has one. Ciphertext rarely has eight such bytes in a row, so most of
	// it only asks the small table of the others, which stays in the cache.
	ascii, other table
}

// entry is a spelling: secret 32 bits, encoding 8, tag of the window 24.
type entry uint64

// Hit is a secret that was found.
type Hit struct {
	Secret   int // its number in the sequence given to New, from 0
	Encoding Encoding
	Offset   int64  // of its first byte; of the outermost compressed stream, if Packed
	Packed   string // "gzip", "zlib", "zstd", "zip", or nested: "gzip/zlib"; empty if in the open
}

// New learns the secrets. Those shorter than [Shortest] are left out, and of
// equal ones the first counts.
func New(secrets iter.Seq[string]) *Finder {
	f := &Finder{longest: Shortest}
	f.learn(secrets)
	var ascii, others []hashed
	var spelled, like []byte
	for k, s := range f.secrets {
		for enc := range encodings {
			spelled = enc.appendTo(spelled[:0], s)
			if l := enc.like(); l != enc {
				if like = l.appendTo(like[:0], s); string(like) == string(spelled) {
					continue
				}
			}
			f.longest = max(f.longest, len(spelled))
			w := binary.LittleEndian.Uint64(spelled[window(spelled):])
			h := hash(w)
			x := hashed{h, entry(uint64(k)<<32 | uint64(enc)<<24 | h>>40)}
			if w&highBits == 0 {
				ascii = append(ascii, x)
			} else {
				others = append(others, x)
			}
		}
	}
	f.ascii, f.other = newTable(ascii), newTable(others)
	return f
}

func (f *Finder) learn(secrets iter.Seq[string]) {
	known := map[string]bool{}
	k := int32(-1)
	for s := range secrets {
		k++
		if len(s) >= Shortest && !known[s] {
			known[s] = true
			f.secrets = append(f.secrets, s)
			f.index = append(f.index, k)
		}
	}
}

// Len is the number of secrets that are looked for, each in all spellings.
func (f *Finder) Len() int { return len(f.secrets) }

func (f *Finder) String() string {
	return fmt.Sprintf("%d secrets in %d spellings", len(f.secrets), len(f.ascii.entries)+len(f.other.entries))
}

// highBits are set in a window that is not ASCII.
const highBits = 0x8080808080808080

// window is where the eight bytes begin that stand for a spelling: the ones
// nearest to the middle that are ASCII, else the middle. The middle of a name
// differs more often than its beginning.
func window(spelled []byte) int {
	mid := (len(spelled) - 8) / 2
	for away := 0; away <= mid+1; away++ {
		for _, p := range [2]int{mid - away, mid + away} {
			if p >= 0 && p+8 <= len(spelled) && binary.LittleEndian.Uint64(spelled[p:])&highBits == 0 {
				return p
			}
		}
	}
	return mid
}

func hash(window uint64) uint64 {
	hi, lo := bits.Mul64(window^0x2d358dccaa6c78a5, 0x9e3779b97f4a7c15)
	return hi ^ lo
}

// windows calls hit for each secret whose window begins in b[from:to]. There
// must be eight bytes at each of them.
func (f *Finder) windows(b []byte, from, to int, hit func(start int, e entry) bool) bool {
	small, smallShift := f.other.filter, f.other.shift&63
	for p := from; p < to; p++ {
		x := binary.LittleEndian.Uint64(b[p:])
		h := hash(x)
		t, w := &f.other, uint64(0)
		if x&highBits == 0 {
			t = &f.ascii
			w = t.filter[h>>(t.shift&63)]
		} else {
			w = small[h>>smallShift]
		}
		if w>>(h&63)&(w>>(h>>6&63))&(w>>(h>>12&63))&1 != 0 && !f.look(t, b, p, h, hit) {
			return false
		}
	}
	return true
}

// look compares what stands around window p with the spellings of its bucket.
func (f *Finder) look(t *table, b []byte, p int, h uint64, hit func(int, entry) bool) bool {
	var scratch [256]byte
	for _, e := range t.bucket(h) {
		if uint64(e)&0xffffff != h>>40 {
			continue
		}
		spelled := e.encoding().appendTo(scratch[:0], f.secrets[e.secret()])
		start := p - window(spelled)
		if start < 0 || start+len(spelled) > len(b) || string(b[start:start+len(spelled)]) != string(spelled) {
			continue
		}
		if !hit(start, e) {
			return false
		}
	}
	return true
}

func (e entry) secret() int        { return int(e >> 32) }
func (e entry) encoding() Encoding { return Encoding(e >> 24) }
