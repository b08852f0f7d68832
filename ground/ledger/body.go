package ledger

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"quietroom/ground/id"
)

// maxTime is the last millisecond that a body can hold; a number above 2^53
// would not survive other readers of JSON.
const maxTime = 1 << 53

// encode writes a checked fact as its body: one line of JSON with the keys in
// this order, empty ones left out, no white space and nothing that needs an
// escape. A fact has exactly one body, and the body's bytes are what is hashed.
//
//	{"at":1764000000000,"person":"…","kind":"vault.opened","subject":"…","part":"chart"}
func encode(f Fact) []byte {
	b := make([]byte, 0, 384)
	b = append(b, `{"at":`...)
	b = strconv.AppendInt(b, f.At.UnixMilli(), 10)
	text := func(key, value string) {
		if value == "" {
			return
		}
		b = append(b, `,"`...)
		b = append(b, key...)
		b = append(b, `":"`...)
		b = append(b, value...)
		b = append(b, '"')
	}
	text("person", string(f.Actor.Person))
	text("device", string(f.Actor.Device))
	text("session", string(f.Actor.Session))
	text("kind", f.Kind)
	text("subject", f.Subject)
	text("part", f.Part)
	text("record", f.Record)
	if f.Version != 0 {
		b = append(b, `,"version":`...)
		b = strconv.AppendInt(b, f.Version, 10)
	}
	text("hash", hex.EncodeToString(f.Hash))
	text("reason", f.Reason)
	text("ref", f.Ref)
	return append(b, '}')
}

// errBody says nothing of the text: a stranger may have put anything there.
var errBody = errors.New("ledger: the text of a fact is not in its one form")

// parse reads a body back. It accepts exactly what encode writes.
func parse(body string) (Fact, error) {
	p := parser{rest: body}
	var f Fact
	p.skip(`{"at":`)
	f.At = time.UnixMilli(p.number()).UTC()
	f.Actor.Person = id.Person(p.text(`,"person":"`))
	f.Actor.Device = id.Device(p.text(`,"device":"`))
	f.Actor.Session = id.Session(p.text(`,"session":"`))
	f.Kind = p.text(`,"kind":"`)
	f.Subject = p.text(`,"subject":"`)
	f.Part = p.text(`,"part":"`)
	f.Record = p.text(`,"record":"`)
	if strings.HasPrefix(p.rest, `,"version":`) {
		p.skip(`,"version":`)
		f.Version = p.number()
	}
	if sum := p.text(`,"hash":"`); sum != "" {
		f.Hash = p.hash(sum)
	}
	f.Reason = p.text(`,"reason":"`)
	f.Ref = p.text(`,"ref":"`)
	p.skip(`}`)
	if p.bad || p.rest != "" {
		return Fact{}, errBody
	}
	if err := f.check(); err != nil {
		return Fact{}, fmt.Errorf("%w: %w", errBody, err)
	}
	return f, nil
}

// parser eats a body from the left.
type parser struct {
	rest string
	bad  bool
}

func (p *parser) skip(s string) {
	rest, ok := strings.CutPrefix(p.rest, s)
	p.rest, p.bad = rest, p.bad || !ok
}

// text returns the value behind prefix, or "" where the key was left out.
func (p *parser) text(prefix string) string {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if !ok {
		return ""
	}
	value, rest, ok := strings.Cut(rest, `"`)
	p.rest, p.bad = rest, p.bad || !ok || value == ""
	return value
}

// number returns a positive number as encode writes it: no sign, no leading zero.
func (p *parser) number() int64 {
	n, digits := int64(0), 0
	for digits < len(p.rest) && '0' <= p.rest[digits] && p.rest[digits] <= '9' {
		d := int64(p.rest[digits] - '0')
		if n > (math.MaxInt64-d)/10 {
			p.bad = true
			return 0
		}
		n, digits = 10*n+d, digits+1
	}
	p.bad = p.bad || digits == 0 || p.rest[0] == '0'
	p.rest = p.rest[digits:]
	return n
}

func (p *parser) hash(s string) []byte {
	h, err := hex.DecodeString(s)
	p.bad = p.bad || err != nil || strings.ToLower(s) != s
	return h
}
