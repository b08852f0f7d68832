package fhir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// exportUnits writes units to a folder, as the room does.
func exportUnits(t testing.TB, units []Unit) (dir string) {
	t.Helper()
	dir = t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	e, err := NewExport(root)
	if err != nil {
		t.Fatal(err)
	}
	cards := map[string]Card{}
	for i, u := range units {
		if u.Shared() {
			for _, r := range u.Resources {
				if err := e.Shared(r); err != nil {
					t.Fatal(err)
				}
			}
			continue
		}
		id := fmt.Sprintf("PATIENT%d", i)
		cards[id] = Summary(u.Patient)
		if err := e.Patient(id, each(append([]Resource{u.Patient}, u.Resources...))); err != nil {
			t.Fatal(err)
		}
		if err := e.Page(id, Page{Card: cards[id], Lines: titles(u.Resources)}); err != nil {
			t.Fatal(err)
		}
	}
	list := func(yield func(string, Card) bool) {
		for id, card := range cards {
			if !yield(id, card) {
				return
			}
		}
	}
	if err := errors.Join(e.Index(IndexPage{Practice: "Quiet Lane", Patients: list}), e.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func each(all []Resource) iter.Seq2[Resource, error] {
	return func(yield func(Resource, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func titles(all []Resource) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		for _, r := range all {
			title, when := Title(r)
			if !yield(Line{When: when, Title: title}) {
				return
			}
		}
	}
}

func TestAnExportReadsBackEqual(t *testing.T) {
	units, _ := read(t, "testdata/bulk", "testdata/bundle.json")
	dir := exportUnits(t, units)
	want := contents(t, "testdata/bulk", "testdata/bundle.json")
	got := contents(t, dir)
	if len(got) != len(want) {
		t.Fatalf("%d patients came back of %d", len(got), len(want))
	}
	for key := range want {
		if g, w := strings.Join(sorted(got[key]), "\n"), strings.Join(want[key], "\n"); g != w {
			t.Errorf("came back as\n%s\nwent out as\n%s", g, w)
		}
	}
}

func TestFileNamesOfAnExportTellNothing(t *testing.T) {
	units, _ := read(t, "testdata/bundle.json")
	dir := exportUnits(t, units)
	var names []string
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	want := []string{"index.html", "patients/PATIENT0/bundle.json", "patients/PATIENT0/index.html"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
}

func TestAnExportNeverMixesWithOtherFiles(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "other"), nil, 0o600)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := NewExport(root); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("got %v, want ErrNotEmpty", err)
	}
}

func TestABrokenRecordLeavesNoHalfFile(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	e, err := NewExport(root)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("sealed to someone else")
	err = e.Patient("X", func(yield func(Resource, error) bool) {
		_ = yield(Resource{Type: "Patient", Raw: []byte(ann)}, nil) && yield(Resource{}, broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the record's error", err)
	}
	left, _ := os.ReadDir(filepath.Join(dir, "patients", "X"))
	if len(left) != 0 {
		t.Errorf("a half-written file is left: %s", left[0].Name())
	}
	if err := e.Patient("../X", each(nil)); err == nil {
		t.Error("an identifier with a path in it was taken")
	}
}

func TestThePageRunsNothingAndFetchesNothing(t *testing.T) {
	var b bytes.Buffer
	evil := Card{Name: `<script>alert(1)</script>`, Phones: []string{`"><img src=//evil.example>`}}
	line := func(yield func(Line) bool) { yield(Line{When: "2020", Title: "<b>x", Link: "javascript:alert(1)"}) }
	if err := WritePage(&b, Page{Practice: "Quiet Lane", Made: "2 May 2026", Card: evil, Lines: line}); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, bad := range []string{"<script", "<img", "<b>", "javascript:", "http://", "https://", "//evil.example>"} {
		if strings.Contains(page, bad) && bad != "//evil.example>" || strings.Contains(page, "<img") {
			t.Errorf("the page holds %q", bad)
		}
	}
	if !strings.Contains(page, "default-src &#39;none&#39;") && !strings.Contains(page, "default-src 'none'") {
		t.Error("the page may fetch things: its policy is missing")
	}
	if !strings.Contains(page, "Quiet Lane") {
		t.Error("the page does not say whose records these are")
	}
}
