package fhir

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// scanAll checks one JSON text by the scanner, and returns it without white space.
func scanAll(text []byte) ([]byte, error) {
	s := newScanner(iotest.OneByteReader(bytes.NewReader(text)))
	s.space()
	s.capture(MaxResource)
	if err := s.value(1); err != nil {
		return nil, err
	}
	out := s.take()
	if s.space(); s.pos < s.end || s.fill() {
		return nil, errors.New("more follows")
	}
	return out, nil
}

// FuzzScan holds the scanner against encoding/json: both take the same texts
// (we ask for UTF-8 and a bounded depth besides) and read the same values.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1.10,-0,1e5,1E-2,true,false,null,"\u00e9\ud83d\ude00\n"]}`, ` [ ] `, `"é"`, `01`, `1.`, `-`, `"\x"`, "\"\t\"", `{"a":1,}`,
		`{"a" : {} , "b":[{},[]]}`, `nul`, "\xef\xbb\xbf{}", "\"\xff\"", `{"resourceType":"Patient"}`, "12345678901234567890", "\"\x7f\u2028\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		out, err := scanAll(text)
		deep := bytes.Count(text, []byte("[")) + bytes.Count(text, []byte("{"))
		want := json.Valid(text) && utf8.Valid(text)
		if want != (err == nil) && (deep <= MaxDepth || err == nil) {
			t.Fatalf("encoding/json says %v, the scanner %v of %q", want, err, text)
		}
		if err != nil {
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out, compact.Bytes()) {
			t.Fatalf("kept %q, want %q", out, compact.Bytes())
		}
		viewAgrees(t, out)
	})
}

// viewAgrees checks that a view finds what encoding/json finds.
func viewAgrees(t *testing.T, raw []byte) {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return
	}
	seen := map[string]string{}
	for k, v := range view(raw).fields() {
		seen[k.text()] = string(v) // the last of equal names, as encoding/json does
	}
	want := map[string]string{}
	for k, v := range m {
		want[k] = string(v)
	}
	if !reflect.DeepEqual(seen, want) {
		t.Fatalf("a view finds %v, want %v", seen, want)
	}
}

// FuzzSplit feeds whole documents and lines: nothing panics, and what a torn
// or hostile file gives is always a whole, valid resource.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{bundle(ann, mood), lines(ann, mood, sleep), `{"entry":[{"resource":` + ann + `}],"type":"x","resourceType":"Bundle"}`} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, perLine bool) {
		whole := true
		n := 0
		for r, p := range split(iotest.HalfReader(bytes.NewReader(text)), perLine, "") {
			if p != nil {
				whole = whole && !p.torn && !p.order
				continue
			}
			n++
			var head struct {
				ResourceType string `json:"resourceType"`
				ID           string `json:"id"`
			}
			dec := json.NewDecoder(bytes.NewReader(r.Raw))
			if !json.Valid(r.Raw) || bytes.IndexByte(r.Raw, '\n') >= 0 {
				t.Fatalf("not one line of JSON: %q", r.Raw)
			}
			if err := dec.Decode(&head); err == nil && !strings.Contains(strings.ToLower(string(r.Raw)), "ı") && exactNames(r.Raw) && (head.ResourceType != r.Type || head.ID != r.ID) {
				t.Fatalf("read as %s/%s, encoding/json says %s/%s", r.Type, r.ID, head.ResourceType, head.ID)
			}
			Title(r)
			Summary(r)
			patientKey(r)
			if source := text[r.at.off : r.at.off+r.at.n]; !sameJSON(source, r.Raw) {
				t.Fatalf("the place says %q, the resource %q", source, r.Raw)
			}
		}
		if !perLine && whole && n > 0 && !json.Valid(bytes.TrimPrefix(text, []byte("\ufeff"))) {
			t.Fatalf("took a document that is no JSON: %q", text)
		}
	})
}

// exactNames reports whether the text avoids names that encoding/json would
// match without regard to case.
func exactNames(raw []byte) bool {
	low := bytes.ToLower(raw)
	return bytes.Count(low, []byte("resourcetype")) == 1 && bytes.Count(low, []byte(`"id"`)) <= 1 && bytes.IndexByte(raw, '\\') < 0 && utf8.RuneCount(raw) == len(raw)
}

func sameJSON(a, b []byte) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// FuzzView looks into bytes that nobody checked.
func FuzzView(f *testing.F) {
	f.Add([]byte(ann))
	f.Add([]byte(`{"name":[{"given":["a"`))
	f.Add([]byte(`{"a":`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := Resource{Type: "Patient", Raw: text}
		Title(r)
		Summary(r)
		patientKey(r)
	})
}

// FuzzWalkZip opens whatever claims to be an archive.
func FuzzWalkZip(f *testing.F) {
	var z bytes.Buffer
	w := zip.NewWriter(&z)
	for name, text := range map[string]string{"a/b.ndjson": lines(ann, mood), "../c.json": bundle(bob, sleep), "x.txt": "x", "d/": ""} {
		e, err := w.Create(name)
		if err != nil {
			f.Fatal(err)
		}
		e.Write([]byte(text))
	}
	w.Close()
	var g bytes.Buffer
	gz := gzip.NewWriter(&g)
	gz.Write([]byte(lines(ann, mood)))
	gz.Close()
	f.Add(z.Bytes(), false)
	f.Add(g.Bytes(), true)
	f.Fuzz(func(t *testing.T, packed []byte, gz bool) {
		name := "a.zip"
		if gz {
			name = "a.ndjson.gz"
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, packed, 0o600); err != nil {
			t.Fatal(err)
		}
		for u, err := range Read(t.Context(), []string{path}, Options{}) {
			if err != nil && err.Error() == "" {
				t.Fatal("an error that says nothing")
			}
			for _, r := range u.Resources {
				if !json.Valid(r.Raw) {
					t.Fatalf("not JSON: %q", r.Raw)
				}
			}
		}
		left, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(left) != 1 {
			t.Fatalf("reading wrote something: %v %v", left, err)
		}
	})
}
