package fhir

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"
)

// scanner checks JSON strictly (RFC 8259, and UTF-8 as FHIR R4 2.6.2 asks) as
// it streams by, through a window of fixed size. What is captured is copied to
// out without the white space between tokens. encoding/json would decode the
// same at a tenth of the speed.
type scanner struct {
	r        io.Reader
	readErr  error
	buf      []byte
	pos, end int   // the unread part of buf
	base     int64 // offset of buf[0] in the source

	line    int // lines ended before buf[counted]
	counted int

	oneLine bool // NDJSON: a newline ends the value

	capturing bool
	seg       int // buf[seg:pos] is still to be copied to out
	out       []byte
	limit     int
	tooBig    bool

	watching bool // buf[wordSeg:pos] is still to be copied to small
	wordSeg  int
	small    []byte
}

const window = 256 << 10

// windows are used again: thousands of small files would otherwise leave more
// of them than resources.
var windows = sync.Pool{New: func() any { return new([window]byte) }}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: r, buf: windows.Get().(*[window]byte)[:]}
}

// release gives the window back. Nothing that was read refers to it.
func (s *scanner) release() {
	windows.Put((*[window]byte)(s.buf))
	s.buf = nil
}

// restart begins with a new source in r.
func (s *scanner) restart() {
	s.readErr, s.pos, s.end, s.base, s.line, s.counted = nil, 0, 0, 0, 0, 0
	s.seg, s.wordSeg, s.capturing, s.watching = 0, 0, false, false
}

func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

// lineNow returns the line of the next byte, from 1.
func (s *scanner) lineNow() int {
	s.line += bytes.Count(s.buf[s.counted:s.pos], newline)
	s.counted = s.pos
	return s.line + 1
}

var newline = []byte{'\n'}

// fill reads more behind the unread bytes. It reports whether there was more.
func (s *scanner) fill() bool {
	if s.readErr != nil {
		return false
	}
	s.flush()
	s.watch()
	s.lineNow()
	rest := copy(s.buf, s.buf[s.pos:s.end])
	s.base += int64(s.pos)
	s.pos, s.counted, s.seg, s.wordSeg, s.end = 0, 0, 0, 0, rest
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		s.readErr = err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	s.readErr = io.ErrNoProgress
	return false
}

// capture starts copying to out, at most limit bytes.
func (s *scanner) capture(limit int) {
	s.capturing, s.tooBig, s.limit, s.seg, s.out = true, false, limit, s.pos, s.out[:0]
}

// take stops copying and hands over what was copied, nil if it was too big.
func (s *scanner) take() []byte {
	s.flush()
	s.capturing = false
	if s.tooBig {
		return nil
	}
	if len(s.out) < 1<<20 {
		return bytes.Clone(s.out)
	}
	large := s.out // copying it would double the memory of the largest resource
	s.out = nil
	return large
}

// flush copies what is pending and returns how much is copied by now.
func (s *scanner) flush() int {
	if !s.capturing {
		return 0
	}
	if s.tooBig || len(s.out)+s.pos-s.seg > s.limit {
		s.tooBig, s.out = true, s.out[:0]
	} else {
		s.out = append(s.out, s.buf[s.seg:s.pos]...)
	}
	s.seg = s.pos
	return len(s.out)
}

// watch copies the pending part of a word, at most maxAddress bytes.
func (s *scanner) watch() {
	if s.watching && len(s.small) <= maxAddress {
		s.small = append(s.small, s.buf[s.wordSeg:min(s.pos, s.wordSeg+maxAddress+2)]...)
	}
}

// word checks a string and returns it, still quoted, until the next word.
// Of one beyond maxAddress it returns a part, which reads as no string.
func (s *scanner) word() (view, error) {
	s.watching, s.wordSeg, s.small = true, s.pos, s.small[:0]
	err := s.text()
	s.watch()
	s.watching = false
	return view(s.small), err
}

// peek returns the next byte, or 0 at the end (NUL is nowhere allowed in JSON).
func (s *scanner) peek() byte {
	if s.pos == s.end && !s.fill() {
		return 0
	}
	return s.buf[s.pos]
}

// fault is a place where the text is not JSON.
type fault struct {
	line   int
	reason string
}

func (f *fault) Error() string { return f.reason }

func (s *scanner) fault(format string, args ...any) error {
	return &fault{s.lineNow(), fmt.Sprintf(format, args...)}
}

// unexpected is the fault at the next byte: the end, a broken source or a wrong byte.
func (s *scanner) unexpected(want string) error {
	if s.pos == s.end {
		if s.readErr != nil && !errors.Is(s.readErr, io.EOF) {
			if tooMuch, ok := errors.AsType[*limitError](s.readErr); ok {
				return s.fault("%s", tooMuch.reason)
			}
			return s.fault("the file cannot be read further: it is damaged after byte %d", s.offset())
		}
		return s.fault("the file ends too early (after byte %d): it is torn", s.offset())
	}
	switch c := s.buf[s.pos]; {
	case c == '\n' && s.oneLine:
		return s.fault("the line ends inside the resource")
	case c < 0x20 || c >= 0x7f:
		return s.fault("a byte 0x%02x stands where %s is wanted (byte %d)", c, want, s.offset())
	default:
		return s.fault("not JSON: %s is wanted at byte %d", want, s.offset())
	}
}

// space skips white space between tokens, which is not copied.
func (s *scanner) space() {
	if s.pos < s.end && s.buf[s.pos] > ' ' {
		return
	}
	s.flush()
	for {
		s.pos += s.blanks(s.buf[s.pos:s.end])
		s.seg = s.pos
		if s.pos < s.end || !s.fill() {
			return
		}
	}
}

// blanks counts the white space at the start of b.
func (s *scanner) blanks(b []byte) int {
	i := 0
	for i < len(b) {
		switch b[i] {
		case ' ':
			for i+8 <= len(b) && binary.LittleEndian.Uint64(b[i:]) == 0x2020202020202020 {
				i += 8
			}
			if i < len(b) && b[i] == ' ' {
				i++
			}
		case '\n':
			if s.oneLine {
				return i
			}
			i++
		case '\t', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// value checks one value at the given depth.
func (s *scanner) value(depth int) error {
	switch c := s.peek(); c {
	case '"':
		return s.text()
	case '{':
		return s.object(depth)
	case '[':
		return s.array(depth)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		if c == '-' || isDigit(c) {
			return s.number()
		}
		return s.unexpected("a value")
	}
}

func (s *scanner) object(depth int) error {
	return s.members(depth, func() error {
		if err := s.text(); err != nil {
			return err
		}
		if err := s.colon(); err != nil {
			return err
		}
		return s.value(depth + 1)
	})
}

// members walks an object; each is called with the scanner at a member's key,
// and must leave it behind the member's value.
func (s *scanner) members(depth int, each func() error) error {
	if depth > MaxDepth {
		return s.fault("nested deeper than %d levels", MaxDepth)
	}
	s.pos++
	s.space()
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.unexpected("a member name")
		}
		if err := each(); err != nil {
			return err
		}
		if done, err := s.next('}'); done || err != nil {
			return err
		}
	}
}

func (s *scanner) array(depth int) error {
	return s.elements(depth, func() error { return s.value(depth + 1) })
}

// elements walks an array; each is called with the scanner at an element.
func (s *scanner) elements(depth int, each func() error) error {
	if depth > MaxDepth {
		return s.fault("nested deeper than %d levels", MaxDepth)
	}
	s.pos++
	s.space()
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := each(); err != nil {
			return err
		}
		if done, err := s.next(']'); done || err != nil {
			return err
		}
	}
}

// next steps over a comma, or over the closing bracket.
func (s *scanner) next(closing byte) (done bool, err error) {
	s.space()
	switch s.peek() {
	case ',':
		s.pos++
		s.space()
		return false, nil
	case closing:
		s.pos++
		return true, nil
	}
	return false, s.unexpected("a comma or a closing bracket")
}

func (s *scanner) colon() error {
	s.space()
	if s.peek() != ':' {
		return s.unexpected("a colon")
	}
	s.pos++
	s.space()
	return nil
}

// text checks one string.
func (s *scanner) text() error {
	s.pos++
	for {
		s.pos += plain(s.buf[s.pos:s.end])
		if s.pos == s.end {
			if !s.fill() {
				return s.unexpected("the end of a text")
			}
			continue
		}
		switch c := s.buf[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return s.unexpected("a printable character")
		default:
			if err := s.rune(); err != nil {
				return err
			}
		}
	}
}

// plain counts the ordinary ASCII at the start of a text, eight bytes a step.
func plain(b []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		// a high bit is set where a byte is >= 0x80, < 0x20, a quote or a backslash
		special := (w | (w - ones*0x20) | (quote - ones) | (slash - ones)) & highs
		if special != 0 {
			break
		}
	}
	for i < len(b) && b[i] >= 0x20 && b[i] < 0x80 && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

func (s *scanner) rune() error {
	for !utf8.FullRune(s.buf[s.pos:s.end]) {
		if !s.fill() {
			return s.fault("not UTF-8 text at byte %d", s.offset())
		}
	}
	_, n := utf8.DecodeRune(s.buf[s.pos:s.end])
	if n == 1 {
		return s.fault("not UTF-8 text at byte %d", s.offset())
	}
	s.pos += n
	return nil
}

func (s *scanner) escape() error {
	s.pos++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
		s.pos++
		for range 4 {
			if !isHex(s.peek()) {
				return s.unexpected("a hexadecimal digit")
			}
			s.pos++
		}
		return nil
	}
	return s.unexpected("an escape that JSON knows")
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	switch c := s.peek(); {
	case c == '0':
		s.pos++
	case isDigit(c):
		s.digits()
	default:
		return s.unexpected("a digit")
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return s.unexpected("a digit")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.unexpected("a digit")
		}
	}
	return nil
}

func (s *scanner) digits() (some bool) {
	for isDigit(s.peek()) {
		s.pos++
		some = true
	}
	return some
}

func (s *scanner) literal(word string) error {
	for i := range len(word) {
		if s.peek() != word[i] {
			return s.unexpected(word)
		}
		s.pos++
	}
	return nil
}

// skipLine moves behind the next newline.
func (s *scanner) skipLine() {
	for {
		if i := bytes.IndexByte(s.buf[s.pos:s.end], '\n'); i >= 0 {
			s.pos += i + 1
			return
		}
		s.pos = s.end
		if !s.fill() {
			return
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
