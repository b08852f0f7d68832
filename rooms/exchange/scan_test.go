package exchange_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quietroom/ground/id"
	"quietroom/layer"
	"quietroom/rooms/exchange"
)

// scanner finds harm where "harmful" stands, and cannot look into "locked".
type scanner struct {
	wide string // why it can look into nothing
	told []layer.Incoming
}

func (s *scanner) Scan(_ context.Context, in layer.Incoming, body io.Reader) (layer.Scan, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return layer.Scan{}, err
	}
	if !in.Trial {
		s.told = append(s.told, in)
	}
	v := layer.Scan{State: layer.Safe}
	switch {
	case s.wide == "no-scanner":
		v = layer.Scan{Why: s.wide}
	case strings.Contains(string(b), "harmful"):
		return layer.Scan{State: layer.Urgent, Name: "Test.Harm"}, nil
	case strings.Contains(string(b), "locked"):
		v = layer.Scan{Why: "encrypted"}
	case s.wide != "":
		v = layer.Scan{Why: s.wide}
	}
	if v.State != layer.Safe && in.Taken {
		v.State = layer.YourWord
	}
	return v, nil
}

// withFiles writes a bundle of one patient with a document for each content.
func withFiles(t *testing.T, contents ...string) string {
	t.Helper()
	entries := []string{`{"resource":{"resourceType":"Patient","id":"p1","name":[{"family":"Bell","given":["Ada"]}]}}`}
	for i, c := range contents {
		data := base64.StdEncoding.EncodeToString([]byte(c + strings.Repeat(" ", 80)))
		entries = append(entries, fmt.Sprintf(`{"resource":{"resourceType":"DocumentReference","id":"d%d","subject":{"reference":"Patient/p1"},"status":"current","content":[{"attachment":{"contentType":"text/plain","data":"%s"}}]}}`, i, data))
	}
	path := filepath.Join(t.TempDir(), "bundle.json")
	text := `{"resourceType":"Bundle","type":"collection","entry":[` + strings.Join(entries, ",") + `]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilesInRecordsAreLookedThroughBeforeTheyComeIn(t *testing.T) {
	for name, c := range map[string]struct {
		wide                string
		files               []string
		unscanned           bool
		in, bad, not, noted int
		says                string
	}{
		"all clean":                       {files: []string{"a letter", "another"}, in: 3},
		"one is harmful":                  {files: []string{"a letter", "harmful", "another"}, in: 3, bad: 1, noted: 1, says: "Test.Harm"},
		"one is harmful, and taken":       {files: []string{"harmful"}, unscanned: true, in: 1, bad: 1, noted: 1, says: "Test.Harm"},
		"one is locked":                   {files: []string{"a letter", "locked"}, in: 2, bad: 1, noted: 1, says: "encrypted"},
		"one is locked, and is taken":     {files: []string{"a letter", "locked"}, unscanned: true, in: 3, not: 1, noted: 1},
		"no scanner":                      {wide: "no-scanner", files: []string{"a letter", "locked"}, in: 3, not: 2, noted: 1},
		"no signatures":                   {wide: "no-signatures", files: []string{"a letter"}, in: 2, not: 1, noted: 1},
		"no signatures, one is harmful":   {wide: "no-signatures", files: []string{"a letter", "harmful"}, in: 2, bad: 1, not: 1, noted: 1, says: "Test.Harm"},
		"the scanner died meanwhile":      {wide: "scanner-down", files: []string{"a letter"}, in: 1, bad: 1, noted: 1, says: "scanner-down"},
		"no files at all, and no scanner": {wide: "no-scanner", in: 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			s := &scanner{wide: c.wide}
			h.Scanner = s
			r, err := h.Import(h.jo, []string{withFiles(t, c.files...)}, exchange.Options{Care: []id.Team{h.team}, Unscanned: c.unscanned})
			if err != nil {
				t.Fatal(err)
			}
			if r.Resources != c.in || r.Bad != c.bad || r.NotScanned != c.not || r.Files != len(c.files) || len(s.told) != c.noted {
				t.Fatalf("%d resources, %d left out, %d of %d files not scanned, %d written down; want %+v", r.Resources, r.Bad, r.NotScanned, r.Files, len(s.told), c)
			}
			if c.bad > 0 && !strings.Contains(r.Problems[0].Reason, c.says) {
				t.Fatalf("it says %q", r.Problems[0].Reason)
			}
		})
	}
}
