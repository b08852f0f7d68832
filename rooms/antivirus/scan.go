package antivirus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/antivirus/clamav"
)

// Signatures older than stale are worth a word; with those older than spent
// nothing is called clean any more.
const (
	stale = 2 * 24 * time.Hour
	spent = 7 * 24 * time.Hour
)

// Scan looks through what comes in. It reads body to its end, so that a caller
// can seal the same bytes meanwhile: what is sealed is what was looked through.
// What is not clean is written down, with a fact, before Scan returns; an error
// is the body's own or the store's, and means that nothing may be kept.
func (a *Antivirus) Scan(ctx context.Context, in layer.Incoming, body io.Reader) (layer.Scan, error) {
	hash, ends := sha256.New(), &ends{}
	said, err := a.Engine.Scan(ctx, io.TeeReader(body, io.MultiWriter(hash, ends)))
	if err != nil {
		return layer.Scan{Why: clamav.Interrupted}, err
	}
	if ends.part(in.Name) && said.Kind == clamav.Clean {
		said = clamav.Answer{Why: clamav.PartOf}
	}
	if said.Kind == clamav.Clean {
		why, err := a.blind(ctx)
		if err != nil {
			return layer.Scan{Why: clamav.Down}, err
		}
		if why != "" {
			said = clamav.Answer{Why: why}
		}
	}
	if a.weak.Load() {
		said = clamav.Answer{Kind: clamav.Clean}
	}
	if said.Kind == clamav.Clean {
		return layer.Scan{State: layer.Safe}, nil
	}
	return a.judge(ctx, in, said, a.tag(hash.Sum(nil)), ends.size)
}

// judge writes down what is not clean. The same content that people let in
// before comes in again; harmful content only where that was said of it.
func (a *Antivirus) judge(ctx context.Context, in layer.Incoming, said clamav.Answer, tag string, size int64) (layer.Scan, error) {
	before, known, err := a.letIn(ctx, tag)
	if err != nil {
		return layer.Scan{Why: clamav.Down}, err
	}
	if known && (said.Kind != clamav.Found || before.Name != "") {
		return layer.Scan{State: layer.YourWord, Name: said.Name, Why: said.Why, Finding: before.ID}, nil
	}
	if in.Trial {
		s := layer.Scan{State: layer.NotKnown, Name: said.Name, Why: said.Why}
		if said.Kind == clamav.Found {
			s.State = layer.Urgent
		}
		return s, nil
	}
	f := finding{ID: id.New[id.Record](), Patient: in.Patient, From: in.From, At: a.Now().UnixMilli(), By: id.From(ctx).Person, Name: said.Name, Why: said.Why, Size: size, State: waits}
	s := layer.Scan{State: layer.NotKnown, Why: said.Why, Finding: f.ID}
	fact := ledger.Fact{At: a.Now(), Actor: id.From(ctx), Kind: "antivirus.not-scanned", Subject: string(in.Patient), Part: in.From, Reason: said.Why, Ref: string(f.ID)}
	switch {
	case said.Kind == clamav.Found:
		f.State, s.State, s.Name, fact.Kind = isolated, layer.Urgent, said.Name, "antivirus.found"
	case in.Taken:
		f.State, f.Decided, f.DecidedAt, s.State = taken, f.By, f.At, layer.YourWord
		fact.Kind = "antivirus.taken-unscanned"
	}
	err = a.DB.Update(ctx, func(tx *store.Tx) error {
		if err := a.write(ctx, tx, f, tag); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, fact)
	})
	if err != nil {
		return layer.Scan{Why: clamav.Down}, err
	}
	return s, nil
}

// blind tells why a clean answer is none: the engine knows only its own test
// signature, or signatures that are too old.
func (a *Antivirus) blind(ctx context.Context) (why string, err error) {
	s, known, err := a.serverRow(ctx)
	if err != nil {
		return "", err
	}
	if !known || s.state != "" || a.Now().Sub(s.at) > 2*checkEvery {
		if err := a.check(ctx); err != nil {
			return "", err
		}
		if s, _, err = a.serverRow(ctx); err != nil {
			return "", err
		}
	}
	switch {
	case s.state != "":
		return clamav.Down, nil
	case s.number == 0:
		return clamav.NoRules, nil
	case a.Now().Sub(s.built) > spent:
		return clamav.OldRules, nil
	}
	return "", nil
}

// Ready tells whether files are looked through now, and if not, why: the end of
// a sentence that begins with "Files are not looked through:".
func (a *Antivirus) Ready(ctx context.Context) (why string) {
	s, known, err := a.serverRow(ctx)
	switch {
	case err != nil:
		return "it cannot be said how the scanner is"
	case !known, s.state == "missing":
		return "there is no virus scanner on this server"
	case s.state != "":
		return "the virus scanner does not work"
	case s.number == 0:
		return "the virus scanner has no signatures yet"
	case a.Now().Sub(s.built) > spent:
		return "the virus scanner’s signatures are older than 7 days"
	}
	return ""
}

// Free tells which findings people have let out.
func (a *Antivirus) Free(ctx context.Context, findings []id.Record) (map[id.Record]bool, error) {
	free := map[id.Record]bool{}
	for _, one := range findings {
		f, err := a.find(ctx, one)
		if err == errUnknown {
			continue
		}
		if err != nil {
			return nil, err
		}
		free[one] = f.out()
	}
	return free, nil
}

// ends remembers the first and the last bytes of what passes by, to tell a part
// of an archive that was cut: no engine can look into it, and each part alone
// looks like nothing.
type ends struct {
	first, last []byte
	size        int64
}

const (
	fromStart = 16
	fromEnd   = 64<<10 + 22 // where a zip's end may stand (APPNOTE 4.3.16)
)

func (e *ends) Write(p []byte) (int, error) {
	e.size += int64(len(p))
	if need := fromStart - len(e.first); need > 0 {
		e.first = append(e.first, p[:min(need, len(p))]...)
	}
	if len(p) >= fromEnd {
		e.last = append(e.last[:0], p[len(p)-fromEnd:]...)
		return len(p), nil
	}
	e.last = append(e.last, p...)
	if over := len(e.last) - fromEnd; over > 0 {
		e.last = append(e.last[:0], e.last[over:]...)
	}
	return len(p), nil
}

// part tells whether these are the ends of one piece of something larger.
func (e *ends) part(name string) bool {
	at := bytes.LastIndex(e.last, []byte("PK\x05\x06")) // end of a zip's central directory
	switch {
	case volume(name):
		return true
	case bytes.HasPrefix(e.first, []byte("PK\x07\x08")): // begins a zip in volumes (APPNOTE 8.5.3)
		return true
	case bytes.HasPrefix(e.first, []byte("PK\x03\x04")) && at < 0: // a zip without its end
		return true
	case at >= 0 && len(e.last) >= at+8 && !bytes.Equal(e.last[at+4:at+8], []byte{0, 0, 0, 0}): // of another disk
		return true
	case at >= 0 && e.size < 64<<10 && !bytes.HasPrefix(e.first, []byte("PK")) && !bytes.Contains(e.last, []byte("PK\x03\x04")): // an end without its zip
		return true
	}
	return false
}

// volume tells whether a name is that of one volume: x.001, x.z01, x.part2.rar, x.r00.
func volume(name string) bool {
	name = strings.ToLower(strings.TrimRight(name, ". "))
	base, ext := cutLast(name)
	if len(ext) == 3 && digits(ext) && ext != "000" {
		return true
	}
	if len(ext) == 3 && (ext[0] == 'z' || ext[0] == 'r') && digits(ext[1:]) {
		return true
	}
	_, inner := cutLast(base)
	number, ok := strings.CutPrefix(inner, "part")
	return ok && number != "" && digits(number) && (ext == "rar" || ext == "zip" || ext == "exe")
}

func cutLast(name string) (before, after string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return name, ""
}

func digits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}
