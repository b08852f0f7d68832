package exchange_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"quietroom/ground/id"
	"quietroom/layer"
	"quietroom/rooms/exchange"
	"quietroom/rooms/exchange/fhir"
)

// equal fails unless an export says what the files said, field by field.
func equal(t testing.TB, out string, want map[string]any) {
	t.Helper()
	got := content(t, out)
	for key, w := range want {
		if g, ok := got[key]; !ok {
			t.Errorf("%s did not come out", key)
		} else if !reflect.DeepEqual(g, w) {
			t.Errorf("%s came out as\n%v\nwant\n%v", key, g, w)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s came out and never came in", key)
		}
	}
}

func TestTheSamplesComeOutAsTheyCameIn(t *testing.T) {
	paths := samples(t)
	want := content(t, paths...)
	h := newHouse(t)
	if sum := h.imports(t, paths...); sum.New != 9 || sum.Resources != len(want) {
		t.Fatalf("imported %d patients and %d resources, want 9 and %d", sum.New, sum.Resources, len(want))
	}
	equal(t, h.exports(t), want)
	before := h.facts(t)
	if sum := h.imports(t, paths...); sum.Unchanged != 9 || sum.New+sum.Changed != 0 {
		t.Errorf("the second import says %+v", sum)
	}
	if after := h.facts(t); after != before {
		t.Errorf("the second import left %d facts, want 0", after-before)
	}
}

func TestTheOrderOfTheFilesDoesNotMatter(t *testing.T) {
	paths := samples(t)
	want := content(t, paths...)
	for range 3 {
		rand.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
		h := newHouse(t)
		h.imports(t, paths[:4]...)
		h.imports(t, paths...)
		equal(t, h.exports(t), want)
	}
}

func TestAnExportComesInAgainAndChangesNothing(t *testing.T) {
	h := newHouse(t)
	h.imports(t, write(t, "a.json", bundle("p1", observation("o1", "p1", "1.10"))))
	before := h.facts(t)
	sum := h.imports(t, h.exports(t))
	if after := h.facts(t); sum.Unchanged != 1 || after != before {
		t.Errorf("%+v, %d facts more", sum, after-before)
	}
}

func TestLinesZipAndGzipComeInAlike(t *testing.T) {
	entries := []string{
		`{"resourceType":"Patient","id":"p1","name":[{"family":"Aldridge"}]}`,
		observation("o1", "p1", "1.10"),
		`{"resourceType":"Claim","id":"c1","patient":{"reference":"Patient/p1"},"total":{"value":12.50}}`,
		`{"resourceType":"Hologram","id":"h1","subject":{"reference":"Patient/p1"},"x":{"y":[1e400,0.10,null]}}`,
		`{"resourceType":"Organization","id":"org","name":"Harbor"}`,
		`{"resourceType":"RelatedPerson","id":"r1","patient":{"reference":"Patient/p1"}}`,
	}
	dir := t.TempDir()
	for i, e := range entries {
		name := []string{"Patient", "Observation", "Claim", "Hologram", "Organization", "RelatedPerson"}[i] + ".ndjson"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(e+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var zipped, gzipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	w, _ := z.Create("in/all.ndjson")
	io.WriteString(w, strings.Join(entries, "\n"))
	z.Close()
	g := gzip.NewWriter(&gzipped)
	io.WriteString(g, strings.Join(entries, "\n"))
	g.Close()
	want := content(t, dir)
	if len(want) != len(entries) {
		t.Fatalf("the folder says %d resources, want %d", len(want), len(entries))
	}
	h := newHouse(t)
	for i, path := range []string{dir, write(t, "all.zip", zipped.String()), write(t, "all.ndjson.gz", gzipped.String())} {
		sum := h.imports(t, path)
		if sum.Patients != 1 || (sum.New == 1) != (i == 0) || sum.Changed != 0 || sum.Shared != 1 || sum.Resources != len(entries) {
			t.Errorf("%s: %+v", filepath.Base(path), sum)
		}
		equal(t, h.exports(t), want)
	}
}

func TestALaterImportAddsAndChangesAndLosesNothing(t *testing.T) {
	h := newHouse(t)
	h.imports(t, write(t, "a.json", bundle("p1", observation("o1", "p1", "1"), observation("o2", "p1", "2"))))
	fewer := write(t, "b.json", bundle("p1", observation("o2", "p1", "2.5"), observation("o3", "p1", "3")))
	if sum := h.imports(t, fewer); sum.Changed != 1 || sum.New != 0 {
		t.Fatalf("the second import says %+v", sum)
	}
	equal(t, h.exports(t), content(t, write(t, "c.json", bundle("p1", observation("o1", "p1", "1"), observation("o2", "p1", "2.5"), observation("o3", "p1", "3")))))
	before := h.facts(t)
	h.imports(t, fewer)
	if after := h.facts(t); after != before {
		t.Errorf("the same again left %d facts", after-before)
	}
	if n := h.count(t); n != 1 {
		t.Errorf("%d patients, want 1", n)
	}
}

func TestLongRecordsAreChangedAsStreams(t *testing.T) {
	h := newHouse(t)
	long := func(mark string) []string {
		var list []string
		for i := range 40 {
			note := strings.Repeat(mark+"ä\\u00e4 ", 3000)
			list = append(list, fmt.Sprintf(`{"resourceType":"DocumentReference","id":"d%d","subject":{"reference":"Patient/p1"},"description":"%s"}`, i, note))
		}
		return list
	}
	h.imports(t, write(t, "a.json", bundle("p1", long("one")...)))
	mixed := append(long("two")[:20], observation("o9", "p1", "9"))
	if sum := h.imports(t, write(t, "b.json", bundle("p1", mixed...))); sum.Changed != 1 {
		t.Fatalf("the second import says %+v", sum)
	}
	want := append(append(long("two")[:20], long("one")[20:]...), observation("o9", "p1", "9"))
	equal(t, h.exports(t), content(t, write(t, "c.json", bundle("p1", want...))))
}

func TestTheCardFollowsTheSourceUntilSomebodyWroteOverIt(t *testing.T) {
	h := newHouse(t)
	patient := func(family, phone string) string {
		return write(t, "p.json", `{"resourceType":"Patient","id":"p1","name":[{"family":"`+family+`","given":["Kim"]}],"telecom":[{"system":"phone","value":"`+phone+`"}]}`)
	}
	card := func() (c layer.Card) {
		t.Helper()
		for p := range h.vault.Patients(h.jo) {
			in, err := h.vault.Open(h.jo, p, layer.PartIdentity)
			if err != nil {
				t.Fatal(err)
			}
			c, _, err = in.Card(h.jo)
			if err != nil {
				t.Fatal(err)
			}
		}
		return c
	}
	h.imports(t, patient("Before", "555-0101"))
	b, err := h.vault.Begin(h.jo)
	if err != nil {
		t.Fatal(err)
	}
	for p := range h.vault.Patients(h.jo) {
		in, err := b.In(h.jo, p, layer.PartIdentity)
		if err != nil {
			t.Fatal(err)
		}
		c, version, err := in.Card(h.jo)
		if err != nil {
			t.Fatal(err)
		}
		c.Phones = []string{"555-0199"}
		if err := b.SetCard(h.jo, in, c, version); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(h.jo); err != nil {
		t.Fatal(err)
	}
	h.imports(t, patient("After", "555-0102"))
	c := card()
	if c.Family != "After" || !slices.Equal(c.Phones, []string{"555-0199"}) || !slices.Equal(c.Care, []id.Team{h.team}) {
		t.Errorf("the card says %+v, want the new name, and the phone that a person wrote", c)
	}
}

func TestAnExportTakesPapersAlongUnderHarmlessNames(t *testing.T) {
	h := newHouse(t)
	h.imports(t, write(t, "a.json", bundle("p1")))
	wanted := map[string]string{
		"../../etc/passwd": "passwd", "a.txt": "a.txt", "A.TXT": "A (2).TXT", `..\b.pdf`: "b.pdf", "": "file", "CON.txt": "_CON.txt",
		"x\x00\n\u202etxt.exe": "x___txt.exe", strings.Repeat("ä", 200) + ".pdf": strings.Repeat("ä", 88) + ".pdf", "..": "file (2)",
	}
	order := slices.SortedFunc(maps.Keys(wanted), func(a, b string) int { // a.txt comes before A.TXT, "" before ".."
		return cmp.Or(len(a)-len(b), -strings.Compare(a, b))
	})
	h.Originals = func(context.Context, id.Patient) iter.Seq2[exchange.Original, error] {
		return func(yield func(exchange.Original, error) bool) {
			for _, name := range order {
				open := func(context.Context) (io.ReadCloser, error) {
					return io.NopCloser(strings.NewReader("of " + name)), nil
				}
				if !yield(exchange.Original{Title: "Paper", Name: name, When: "2024-01-02", Open: open}, nil) {
					return
				}
			}
		}
	}
	out := h.exports(t)
	got := map[string]string{}
	err := fs.WalkDir(os.DirFS(out), ".", func(path string, d fs.DirEntry, err error) error {
		if strings.Contains(path, "/files/") {
			b, err := os.ReadFile(filepath.Join(out, path))
			got[strings.TrimPrefix(string(b), "of ")] = filepath.Base(path)
			return err
		}
		return err
	})
	if err != nil || !maps.Equal(got, wanted) {
		t.Errorf("files came out as\n%q, want\n%q; %v", got, wanted, err)
	}
}

func TestAnExportHoldsNoFileThatABrowserRuns(t *testing.T) {
	h := newHouse(t)
	h.imports(t, write(t, "a.json", bundle("p1")))
	const script = "<script>fetch('../index.html')</script>"
	papers := []struct{ name, content, want string }{
		{"a.html", script, "a.html.txt"}, {"A.HTML", script, "A.HTML (2).txt"}, {"a.html.txt", script, "a.html (3).txt"}, {"b.SvG. ", "x", "b.SvG.txt"},
		{"c.xhtml", "x", "c.xhtml.txt"}, {"d.xml", "x", "d.xml.txt"}, {"e.mhtml", "x", "e.mhtml.txt"}, {"f.shtml", "x", "f.shtml.txt"}, {"g.htm", "", "g.htm.txt"},
		{"no ending", "\ufeff \n<!DOCTYPE html>" + script, "no ending.txt"}, {"scan.pdf", script, "scan.pdf.txt"}, {"wide", "\xff\xfe<\x00h\x00", "wide.txt"},
		{"later.dat", "words " + script, "later.dat.txt"},
		{"note.txt", script, "note.txt"}, {"plain.pdf", "%PDF-1.7 <script>", "plain.pdf"}, {"words", "1 < 2", "words"}, {"empty", "", "empty"},
	}
	h.Originals = func(context.Context, id.Patient) iter.Seq2[exchange.Original, error] {
		return func(yield func(exchange.Original, error) bool) {
			for _, p := range papers {
				open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(p.content)), nil }
				if !yield(exchange.Original{Title: p.name, Name: p.name, Open: open}, nil) {
					return
				}
			}
		}
	}
	folders, err := filepath.Glob(filepath.Join(h.exports(t), "patients", "*"))
	if err != nil || len(folders) != 1 {
		t.Fatal(folders, err)
	}
	readme, err := os.ReadFile(filepath.Join(folders[0], "index.html"))
	if err != nil || !strings.Contains(string(readme), "only .txt was put behind their names") {
		t.Errorf("the patient's page does not say why files end in .txt: %v", err)
	}
	for _, p := range papers {
		if got, err := os.ReadFile(filepath.Join(folders[0], "files", p.want)); err != nil || string(got) != p.content {
			t.Errorf("%s does not come out as %s: %q, %v", p.name, p.want, got, err)
		}
	}
}

func TestAnExportNeedsAnEmptyFolderAndTouchesNoOther(t *testing.T) {
	h := newHouse(t)
	h.imports(t, write(t, "a.json", bundle("p1")))
	out := t.TempDir()
	mine := filepath.Join(out, "patients", "mine.txt")
	if err := errors.Join(os.Mkdir(filepath.Dir(mine), 0o700), os.WriteFile(mine, []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Export(h.jo, out, exchange.Takeout{}); !errors.Is(err, exchange.ErrNotEmpty) {
		t.Errorf("got %v, want ErrNotEmpty", err)
	}
	if b, err := os.ReadFile(mine); string(b) != "mine" {
		t.Errorf("the folder's own file is %q, %v", b, err)
	}
	if _, err := h.Export(h.jo, mine, exchange.Takeout{}); err == nil {
		t.Error("an export went into a file")
	}
}

func TestAFailedExportLeavesNothingPlain(t *testing.T) {
	h := newHouse(t)
	h.imports(t, write(t, "a.json", bundle("p1")))
	broken := errors.New("the disk of files is gone")
	h.Originals = func(context.Context, id.Patient) iter.Seq2[exchange.Original, error] {
		return func(yield func(exchange.Original, error) bool) { yield(exchange.Original{}, broken) }
	}
	out := t.TempDir()
	if _, err := h.Export(h.jo, out, exchange.Takeout{}); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if left, err := os.ReadDir(out); len(left) != 0 || err != nil {
		t.Errorf("the failed export left %v, %v", left, err)
	}
}

func TestAnExportSaysWhoseChartsStayed(t *testing.T) {
	h := newHouse(t)
	h.imports(t, write(t, "a.json", bundle("p1", observation("o1", "p1", "1"))))
	out := filepath.Join(t.TempDir(), "out")
	sum, err := h.Export(h.ana, out, exchange.Takeout{})
	if err != nil || sum.Closed != 1 || sum.Patients != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if got := content(t, out); len(got) != 1 {
		t.Errorf("somebody who does not care for the patient took out %d resources, want the Patient alone", len(got))
	}
}

func TestOnePatientIsTakenOutAlone(t *testing.T) {
	h := newHouse(t)
	h.imports(t, write(t, "a.json", bundle("p1")), write(t, "b.json", bundle("p2")), write(t, "o.json", `{"resourceType":"Organization","id":"org"}`))
	for p := range h.vault.Patients(h.jo) {
		out := filepath.Join(t.TempDir(), "out")
		sum, err := h.Export(h.jo, out, exchange.Takeout{Patient: p})
		if err != nil || sum.Patients != 1 || sum.Resources != 1 || len(content(t, out)) != 1 {
			t.Errorf("%+v, %v", sum, err)
		}
		var packed bytes.Buffer
		z := zip.NewWriter(&packed)
		if err := errors.Join(h.Layer().Export(h.jo, p, z), z.Close()); err != nil {
			t.Fatal(err)
		}
		if got := content(t, write(t, "part.zip", packed.String())); len(got) != 1 {
			t.Errorf("the zip holds %d resources, want 1", len(got))
		}
	}
	out := t.TempDir()
	if _, err := h.Export(h.jo, out, exchange.Takeout{Patient: id.New[id.Patient]()}); !errors.Is(err, layer.ErrUnknown) {
		t.Errorf("an unknown patient gives %v", err)
	}
}

func TestAPatientWhoWasTypedInComesOutAsFHIR(t *testing.T) {
	h := newHouse(t)
	b, err := h.vault.Begin(h.jo)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Admit(h.jo, layer.Card{Family: "Aldridge", Given: "Sam", Born: "1991-03-04", Phones: []string{"555-0142"}, Pronouns: "they", Care: []id.Team{h.team},
		Safe: layer.SafeContact{Words: "Say from the office", Ways: map[string]bool{"text": true, "post": false}}})
	if err := errors.Join(err, b.Commit(h.jo)); err != nil {
		t.Fatal(err)
	}
	out := h.exports(t)
	for u, err := range fhir.Read(t.Context(), []string{out}, fhir.Options{}) {
		if p, ok := errors.AsType[*fhir.Problem](err); ok && p.LeftAlone {
			continue
		}
		if c := fhir.Summary(u.Patient); err != nil || c.Family != "Aldridge" || c.Given != "Sam" || c.Born != "1991-03-04" || !slices.Equal(c.Phones, []string{"555-0142"}) {
			t.Errorf("came out as %+v, %v", c, err)
		}
	}
	page, err := os.ReadFile(filepath.Join(out, "patients", string(p), "index.html"))
	for _, want := range []string{"Aldridge, Sam", "they", "Say from the office", "Must not be used</dt><dd>post"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not say %q, %v", want, err)
		}
	}
}
