package leak

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"hash/maphash"
	"html"
	"io"
	"iter"
	"regexp"
	"strconv"
	"unicode/utf8"
)

// Bounds of what one body may unfold into: a stranger made it.
const (
	deepest   = 5       // encodings inside of one another
	mostViews = 400     // meanings of one body
	mostBytes = 8 << 20 // of all meanings together
)

// view is one meaning of some bytes.
type view struct {
	bytes []byte
	how   []string // what was undone to get here
}

var seed = maphash.MakeSeed()

// viewsOf yields b and all that it could mean, breadth first.
func viewsOf(b []byte) iter.Seq[view] {
	return func(yield func(view) bool) {
		seen, size := map[uint64]bool{}, 0
		queue := []view{{bytes: b}}
		for len(queue) > 0 && len(seen) < mostViews {
			v := queue[0]
			queue = queue[1:]
			sum := maphash.Bytes(seed, v.bytes)
			if len(v.bytes) < 4 || seen[sum] || (size > 0 && size+len(v.bytes) > mostBytes) {
				continue
			}
			seen[sum] = true
			size += len(v.bytes)
			if !yield(v) {
				return
			}
			if len(v.how) >= deepest || len(queue) > mostViews {
				continue
			}
			for _, undo := range undoings {
				for _, got := range undo.do(v.bytes) {
					queue = append(queue, view{got, append(append([]string{}, v.how...), undo.name...)})
				}
			}
		}
	}
}

// undoings take one encoding off. Escapes have no name: everybody writes
// addresses and JSON so.
var undoings = []struct {
	name []string
	do   func([]byte) [][]byte
}{
	{[]string{"url-encoded"}, unpercent},
	{nil, unescape},
	{nil, unentity},
	{[]string{"gzip"}, ungzip},
	{[]string{"deflate"}, inflate},
	{[]string{"base64"}, unbase64},
	{[]string{"hex"}, unhex},
	{[]string{"character codes"}, uncodes},
	{[]string{"one by one"}, unspaced},
	{[]string{"utf-16"}, unwide},
}

func one(b []byte, ok bool) [][]byte {
	if !ok {
		return nil
	}
	return [][]byte{b}
}

// unpercent undoes %XX and, where there is one, + for a space.
func unpercent(b []byte) [][]byte {
	if bytes.IndexByte(b, '%') < 0 && bytes.IndexByte(b, '+') < 0 {
		return nil
	}
	out, changed := make([]byte, 0, len(b)), false
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '%' && i+2 < len(b) && isHex(b[i+1]) && isHex(b[i+2]):
			out = append(out, unhexed(b[i+1])<<4|unhexed(b[i+2]))
			i, changed = i+2, true
		case b[i] == '+':
			out, changed = append(out, ' '), true
		default:
			out = append(out, b[i])
		}
	}
	return one(out, changed)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhexed(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

// unescape undoes the backslashes of JSON and of scripts.
func unescape(b []byte) [][]byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return nil
	}
	out, changed := make([]byte, 0, len(b)), false
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 >= len(b) {
			out = append(out, b[i])
			continue
		}
		changed = true
		size := map[byte]int{'u': 4, 'x': 2}[b[i+1]]
		if n, err := strconv.ParseUint(string(b[min(i+2, len(b)):min(i+2+size, len(b))]), 16, 32); size > 0 && err == nil {
			out = utf8.AppendRune(out, rune(n))
			i += 1 + size
			continue
		}
		i++
		out = append(out, b[i])
	}
	return one(out, changed)
}

func unentity(b []byte) [][]byte {
	if !bytes.Contains(b, []byte("&#")) && !bytes.Contains(b, []byte("&amp;")) {
		return nil
	}
	out := []byte(html.UnescapeString(string(b)))
	return one(out, !bytes.Equal(out, b))
}

// mostStarts is in how many places of one body a packed part is looked for.
const mostStarts = 4

// ungzip unpacks what begins with gzip's mark.
func ungzip(b []byte) (all [][]byte) {
	for at, tries := 0, 0; tries < mostStarts; tries++ {
		next := bytes.Index(b[at:], []byte{0x1f, 0x8b, 8})
		if next < 0 {
			break
		}
		at += next
		if r, err := gzip.NewReader(bytes.NewReader(b[at:])); err == nil {
			all = append(all, some(r)...)
		}
		at++
	}
	return all
}

// inflate unpacks deflate, with zlib's two bytes before it or bare.
func inflate(b []byte) [][]byte {
	if len(b) < 8 {
		return nil
	}
	if b[0] == 0x78 {
		if r, err := zlib.NewReader(bytes.NewReader(b)); err == nil {
			return some(r)
		}
	}
	if readable(b) {
		return nil
	}
	return some(flate.NewReader(bytes.NewReader(b)))
}

// some reads what can be read: a body that was cut still tells its beginning.
func some(r io.Reader) [][]byte {
	out, _ := io.ReadAll(io.LimitReader(r, mostBytes/2))
	return one(out, len(out) >= shortest && mostly(out))
}

// readable tells whether b is text already.
func readable(b []byte) bool {
	odd := 0
	head := b[:min(len(b), 256)]
	for _, c := range head {
		if c < 9 || c > 13 && c < 32 || c >= 127 {
			odd++
		}
	}
	return odd*10 < len(head)
}

// mostly tells whether b could be a meaning: text, or packed again.
func mostly(b []byte) bool {
	return readable(b) || bytes.HasPrefix(b, []byte{0x1f, 0x8b}) || b[0] == 0x78 || bytes.Count(b, []byte{0})*3 > len(b)
}

var base64Run = regexp.MustCompile(`[A-Za-z0-9+/_-]{8,}`)

// unbase64 reads each run of base64's characters, in both alphabets.
func unbase64(b []byte) (all [][]byte) {
	for _, run := range base64Run.FindAll(b, 64) {
		run = bytes.Map(func(r rune) rune {
			switch r {
			case '-':
				return '+'
			case '_':
				return '/'
			}
			return r
		}, run)
		if len(run)%4 == 1 {
			run = run[:len(run)-1]
		}
		out := make([]byte, base64.RawStdEncoding.DecodedLen(len(run)))
		n, err := base64.RawStdEncoding.Decode(out, run)
		if err != nil || n < shortest || !mostly(out[:n]) && !packedMark(out[:n]) {
			continue
		}
		all = append(all, out[:n])
	}
	return all
}

// packedMark tells whether b may be bare deflate: nothing says so but trying.
func packedMark(b []byte) bool {
	return len(b) >= 16 && len(some(flate.NewReader(bytes.NewReader(b)))) > 0
}

var hexRun = regexp.MustCompile(`(?:[0-9a-fA-F]{2}){6,}`)

func unhex(b []byte) (all [][]byte) {
	for _, run := range hexRun.FindAll(b, 64) {
		out := make([]byte, len(run)/2)
		if n, err := hex.Decode(out, run); err == nil && mostly(out[:n]) {
			all = append(all, out[:n])
		}
	}
	return all
}

var codesRun = regexp.MustCompile(`\d{2,3}(?:[,;|:_. -]\d{2,3}){5,}`)
var number = regexp.MustCompile(`\d+`)

// uncodes reads 113,122,118 as the characters that have these numbers.
func uncodes(b []byte) (all [][]byte) {
	for _, run := range codesRun.FindAll(b, 16) {
		var out []byte
		for _, n := range number.FindAll(run, -1) {
			c, _ := strconv.Atoi(string(n))
			if c < 32 || c > 126 {
				out = nil
				break
			}
			out = append(out, byte(c))
		}
		all = append(all, one(out, len(out) >= shortest)...)
	}
	return all
}

var spacedRun = regexp.MustCompile(`(?:[A-Za-z0-9@.][,;|:_ -]){5,}[A-Za-z0-9@.]`)
var spacer = regexp.MustCompile(`[,;|:_ -]`)

// unspaced reads q-z-v as qzv.
func unspaced(b []byte) (all [][]byte) {
	for _, run := range spacedRun.FindAll(b, 16) {
		all = append(all, spacer.ReplaceAll(run, nil))
	}
	return all
}

// unwide reads text of two bytes a character.
func unwide(b []byte) [][]byte {
	zeros := bytes.Count(b, []byte{0})
	return one(bytes.ReplaceAll(b, []byte{0}, nil), zeros > 3 && zeros*3 > len(b))
}
