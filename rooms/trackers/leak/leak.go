// Package leak finds marked values in what left a browser: as they were typed,
// and in every form that trackers are known to give them.
//
// It is pure: bytes in, hits out. It works from both ends. From the value it
// makes all that could be sent (lower case, digits only, hashes, base64 at its
// three alignments, hashes of hashes). From the bytes it makes all that they
// could mean (percent, JSON and HTML escapes, gzip, deflate, base64, hex, codes
// of characters), and looks for the first in the second. What was encrypted, or
// hashed with a secret, nobody finds: callers say so, see docs/security.md.
package leak

import (
	"bytes"
	"slices"
	"strings"
)

// Secret is one value that must not reach anybody else.
type Secret struct {
	Name  string // what people call it: "e-mail address"
	Value string // as it was typed, or as it stands on the page
	// Exact is for values that are too common to be looked for inside of others,
	// such as a postal code: only a part of a request that is this value counts.
	Exact bool
	// Common is for words of the language, such as a page's title: they are not put
	// together from pieces, which chance would find.
	Common bool
}

// Hit is a secret that was found.
type Hit struct {
	Secret int      // index into the Finder's secrets
	How    []string // from the outside to the value: "gzip", "base64", "sha256"; never empty
	Text   string   // what stands in the bytes, at most 120 of them
	Key    string   // the part of the request in which it stood; empty where it was found in the whole
}

// Encoding is How in one word: "plain", "gzip, sha256".
func (h Hit) Encoding() string { return strings.Join(h.How, ", ") }

// better tells whether a is the plainer finding of one and the same secret; a
// whole value is plainer than a part of it.
func better(a, b Hit) bool { return a.cost() < b.cost() }

func (h Hit) cost() int {
	if slices.Contains(h.How, "part") || slices.Contains(h.How, "first part") {
		return len(h.How) + 1
	}
	return len(h.How)
}

// Finder looks for many secrets at once. It is made once and used by many.
type Finder struct {
	secrets []Secret
	needles []needle
	index   map[uint32][]int32 // first four bytes -> needles
	exact   map[string][]int   // whole value -> secrets that count only so
}

type needle struct {
	text   string
	secret int
	how    []string
}

// shortest is how long a value must be to be looked for inside of others.
const shortest = 5

// New makes a Finder. Secrets that are empty are never found.
func New(secrets []Secret) *Finder {
	f := &Finder{secrets: secrets, index: map[uint32][]int32{}, exact: map[string][]int{}}
	seen := map[string]bool{}
	for i, s := range secrets {
		value := strings.TrimSpace(s.Value)
		if value == "" {
			continue
		}
		lower := strings.ToLower(value)
		if s.Exact || len(value) < shortest {
			f.exact[lower] = append(f.exact[lower], i)
			continue
		}
		for n := range needlesOf(value, s.Common) {
			if len(n.text) < shortest || seen[n.text] {
				continue // the first secret that has it keeps it
			}
			seen[n.text] = true
			n.secret = i
			f.index[prefix(n.text)] = append(f.index[prefix(n.text)], int32(len(f.needles)))
			f.needles = append(f.needles, n)
		}
	}
	return f
}

// Secrets are what the Finder looks for.
func (f *Finder) Secrets() []Secret { return f.secrets }

func prefix[T string | []byte](b T) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// Find looks for all secrets in b and in everything that b could mean. Each
// secret is told once, in the plainest way in which it stands there.
func (f *Finder) Find(b []byte) []Hit {
	best := map[int]Hit{}
	for v := range viewsOf(b) {
		f.look(v, best)
	}
	return sorted(best)
}

func sorted(best map[int]Hit) []Hit {
	var hits []Hit
	for _, h := range best {
		hits = append(hits, h)
	}
	slices.SortFunc(hits, func(a, b Hit) int { return a.Secret - b.Secret })
	return hits
}

// look finds needles in one view.
func (f *Finder) look(v view, best map[int]Hit) {
	b := v.bytes
	for at := 0; at+shortest <= len(b); at++ {
		for _, i := range f.index[prefix(b[at:])] {
			n := &f.needles[i]
			if len(b)-at < len(n.text) || string(b[at:at+len(n.text)]) != n.text {
				continue
			}
			keep(best, Hit{Secret: n.secret, How: chain(v.how, n.how), Text: excerpt(b, at, len(n.text))})
		}
	}
}

func keep(best map[int]Hit, h Hit) {
	if was, ok := best[h.Secret]; !ok || better(h, was) {
		best[h.Secret] = h
	}
}

// chain joins what was undone with what was found. "plain" stands only alone.
func chain(views, form []string) []string {
	all := append(slices.Clone(views), form...)
	if len(all) == 0 {
		return []string{"plain"}
	}
	return slices.Compact(all)
}

// excerpt is a hit with a little of what stands around it, fit to be printed.
func excerpt(b []byte, at, size int) string {
	from, to := max(0, at-24), min(len(b), at+min(size, 72)+24)
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0xfffd {
			return '·'
		}
		return r
	}, string(b[from:to]))
}

// Mentions tells whether b, or anything that it could mean, has one of the words in it.
func Mentions(b []byte, words ...string) bool {
	for v := range viewsOf(b) {
		for _, w := range words {
			if bytes.Contains(v.bytes, []byte(w)) {
				return true
			}
		}
	}
	return false
}
