package exchange

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"quietroom/layer"
	"quietroom/rooms/exchange/fhir"
)

// Scanner looks through the files that records bring along.
type Scanner interface {
	// Scan reads body to its end and says what it is. An error means that nothing
	// of it may be kept.
	Scan(ctx context.Context, in layer.Incoming, body io.Reader) (layer.Scan, error)
}

// leastFile is how long a text must be to hold a file in base64: shorter than
// any harmful one that is known, the standard test file included.
const leastFile = 64

// attached yields what could be a file in a resource: every text that is base64
// (FHIR R4: Attachment.data, Binary.data, valueBase64Binary, and extensions).
func attached(raw []byte) (files [][]byte) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	for {
		t, err := d.Token()
		if err != nil {
			return files
		}
		text, ok := t.(string)
		if !ok {
			continue
		}
		if file := fromBase64(text); file != nil {
			files = append(files, file)
		}
	}
}

// fromBase64 is what a text holds, or nil if it holds no file. Blanks may stand
// in it, as the base64Binary of XML allows.
func fromBase64(text string) []byte {
	if len(text) < leastFile {
		return nil
	}
	b := make([]byte, 0, len(text))
	for i := range len(text) {
		switch c := text[i]; {
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
			if len(b) < 4 {
				return nil // words
			}
		case c == '-':
			b = append(b, '+')
		case c == '_':
			b = append(b, '/')
		case c == '=':
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '+', c == '/':
			b = append(b, c)
		default:
			return nil
		}
	}
	file := make([]byte, base64.RawStdEncoding.DecodedLen(len(b)))
	n, err := base64.RawStdEncoding.Decode(file, b)
	if err != nil {
		return nil
	}
	return file[:n]
}

// scanned takes out of resources those whose files may not come in, and says why.
// All files are looked through at once, as an archive, and only where something
// is in it each alone. A house without a scanner takes files in as not scanned,
// counts them, and writes down who did.
func (im *importing) scanned(ctx context.Context, all []fhir.Resource) (kept []fhir.Resource, out []fhir.Problem, err error) {
	if im.x.Scanner == nil {
		return all, nil, nil
	}
	files := make([][][]byte, len(all))
	n := 0
	for i, r := range all {
		files[i] = attached(r.Raw)
		n += len(files[i])
	}
	if n == 0 {
		return all, nil, nil
	}
	im.counted(n, 0)
	if im.blind() {
		im.counted(0, n)
		return all, nil, nil
	}
	together, err := im.x.look(ctx, layer.Incoming{Trial: true}, packed(files))
	if err != nil || together.State == layer.Safe {
		return all, nil, err
	}
	if houseWide(together) {
		im.counted(0, n)
		return all, nil, im.note(ctx, together, files)
	}
	for i, r := range all {
		problem, err := im.scannedAlone(ctx, r, files[i])
		switch {
		case err != nil:
			return nil, nil, err
		case problem != nil:
			out = append(out, *problem)
		default:
			kept = append(kept, r)
		}
	}
	return kept, out, nil
}

// scannedAlone looks through the files of one resource.
func (im *importing) scannedAlone(ctx context.Context, r fhir.Resource, files [][]byte) (*fhir.Problem, error) {
	for _, file := range files {
		s, err := im.x.look(ctx, layer.Incoming{Trial: true}, bytes.NewReader(file))
		if err != nil {
			return nil, err
		}
		if s.State != layer.Safe && !houseWide(s) {
			s, err = im.x.look(ctx, layer.Incoming{Taken: im.o.Unscanned}, bytes.NewReader(file))
		}
		switch {
		case err != nil:
			return nil, err
		case s.Held() && !houseWide(s):
			return &fhir.Problem{Reason: heldBack(r, s)}, nil
		case s.State != layer.Safe:
			im.counted(0, 1)
		}
	}
	return nil, nil
}

// houseWide tells whether no file at all can be called clean here now, which
// holds up no import: what comes in is marked.
func houseWide(s layer.Scan) bool {
	return s.State == layer.NotKnown && (s.Why == "no-scanner" || s.Why == "no-signatures" || s.Why == "old-signatures")
}

// note writes down once an import that its files came in not scanned.
func (im *importing) note(ctx context.Context, s layer.Scan, files [][][]byte) error {
	im.mu.Lock()
	noted := im.why != ""
	im.why = s.Why
	im.mu.Unlock()
	if noted {
		return nil
	}
	_, err := im.x.look(ctx, layer.Incoming{Taken: true}, packed(files))
	return err
}

// blind tells whether it is no use to ask again.
func (im *importing) blind() bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.why == "no-scanner"
}

// counted counts files, and those among them that were not scanned.
func (im *importing) counted(files, not int) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.sum.Files += files
	im.sum.NotScanned += not
}

func (x *Exchange) look(ctx context.Context, in layer.Incoming, body io.Reader) (layer.Scan, error) {
	if c, ok := body.(io.Closer); ok {
		defer c.Close() // an archive in the making ends, whatever happens
	}
	in.From = "import"
	return x.Scanner.Scan(ctx, in, body)
}

// heldBack says why a resource was left out, and what to do about it.
func heldBack(r fhir.Resource, s layer.Scan) string {
	which := "a " + r.Type
	if s.State == layer.Urgent {
		return fmt.Sprintf("%s was left out: the virus scanner found %s in its file; two people can let it in, at /antivirus/findings/%s, then import again", which, s.Name, s.Finding)
	}
	return fmt.Sprintf("%s was left out: its file could not be looked through for malware (%s); take it in with --unscanned, or at /antivirus/findings/%s and import again", which, s.Why, s.Finding)
}

// packed is an archive of files, made as it is read.
func packed(files [][][]byte) io.Reader {
	pr, pw := io.Pipe()
	go func() {
		w := tar.NewWriter(pw)
		n := 0
		for _, of := range files {
			for _, file := range of {
				n++
				if err := w.WriteHeader(&tar.Header{Name: fmt.Sprint(n), Mode: 0o600, Size: int64(len(file))}); err != nil {
					pw.CloseWithError(err)
					return
				}
				if _, err := w.Write(file); err != nil {
					pw.CloseWithError(err)
					return
				}
			}
		}
		pw.CloseWithError(w.Close())
	}()
	return pr
}
