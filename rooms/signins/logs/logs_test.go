package logs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"quietroom/rooms/signins/logs"
)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// all reads a file to its end.
func all(r io.Reader) (events []logs.Event, bad []string, last error) {
	for e, err := range logs.New(r).Events() {
		if b, ok := errors.AsType[*logs.Bad](err); ok {
			bad = append(bad, b.Error())
		} else if err != nil {
			last = err
		} else {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b logs.Event) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return strings.Compare(a.Mailbox, b.Mailbox)
	})
	return events, bad, last
}

// short is an event in one line.
func short(e logs.Event) string {
	said := e.At.Format("15:04 ") + strings.Split(e.Mailbox, "@")[0]
	for _, w := range []struct {
		is   bool
		word string
	}{{e.In, "in"}, {e.Denied, "denied"}, {e.Legacy != "", e.Legacy}, {e.Factors == logs.One, "one"}, {e.Factors == logs.Two && e.In, "two"}, {e.Guest, "guest"}, {e.Country != "", e.Country}} {
		if w.is {
			said += " " + w.word
		}
	}
	return said
}

var wantEntra = []string{
	"14:00 dana denied US", "14:02 dana denied US", "14:04 dana denied US", "14:06 dana denied US", "14:09 dana in two US",
	"14:30 lee in imap one US", "14:31 lee smtp US", "15:00 ana in one US", "15:00 kim in two US", "16:00 kim in two NG", "16:01 guest in two guest US",
	"17:20 ana denied US", "17:21 ana denied US", "17:22 ana US",
}

var wantGoogle = []string{
	"14:00 dana denied US", "14:03 dana denied US", "14:06 dana denied US", "14:08 dana in two US", "14:10 ana US", "14:10 lee in one US", "15:10 lee other US", "15:10 lee in DE",
}

func TestEveryExportOfTheSameSignInsTellsTheSame(t *testing.T) {
	for name, want := range map[string][]string{"entra.json": wantEntra, "entra-graph.json": wantEntra, "entra.ndjson": wantEntra, "entra.csv": wantEntra, "google.json": wantGoogle, "google.csv": wantGoogle} {
		t.Run(name, func(t *testing.T) {
			events, bad, err := all(bytes.NewReader(sample(t, name)))
			if err != nil || len(bad) > 0 {
				t.Fatalf("%v %q", err, bad)
			}
			var got []string
			for _, e := range events {
				got = append(got, short(e))
			}
			if !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for _, e := range events {
				if e.Kind == logs.Entra && !strings.Contains(name, ".csv") && !e.Placed {
					t.Errorf("%s has no place", short(e))
				}
				if e.ID == "" && name != "google.csv" {
					t.Errorf("%s has no id", short(e))
				}
				if len(e.Tenants) == 0 && name != "google.csv" {
					t.Errorf("%s has no tenant", short(e))
				}
			}
		})
	}
}

func TestUnknownColumnsAreNamedAndDoNotMatter(t *testing.T) {
	r := logs.New(bytes.NewReader(sample(t, "entra.csv")))
	for range r.Events() {
	}
	if got := r.Unknown(); !slices.Equal(got, []string{"tomorrow's column"}) {
		t.Errorf("unknown are %q", got)
	}
}

func TestABrokenLineCostsItselfOnly(t *testing.T) {
	lines := strings.SplitAfter(string(sample(t, "entra.ndjson")), "\n")
	for title, c := range map[string]struct {
		with string
		bad  int
	}{
		"half an object":              {lines[3][:len(lines[3])/2] + "\n", 1},
		"nonsense":                    {"what is this\n", 0},
		"another object":              {`{"createdDateTime":"2026-11-20T14:00:00Z","patient":"x"}` + "\n", 1},
		"a time that is none":         {strings.ReplaceAll(lines[3], "2026-11-20T", "soon"), 1},
		"a brace too many":            {strings.TrimSuffix(lines[3], "}\n") + "\n", 1},
		"a quotation that never ends": {lines[3][:60] + "\"\"\n", 1},
		"a line of 3 MiB":             {`{"id":"` + strings.Repeat("x", 3<<20) + "\"}\n", 1},
	} {
		t.Run(title, func(t *testing.T) {
			text := strings.Join(lines[:3], "") + c.with + strings.Join(lines[4:], "")
			events, bad, err := all(strings.NewReader(text))
			if err != nil || len(events) != len(wantEntra)-1 {
				t.Errorf("%d events are left, want %d: %v %q", len(events), len(wantEntra)-1, err, bad)
			}
			if len(bad) != c.bad || c.bad == 1 && !strings.HasPrefix(bad[0], "line 4: ") {
				t.Errorf("it tells %q, want line 4", bad)
			}
		})
	}
}

func TestABrokenObjectInAnArrayCostsItselfOnly(t *testing.T) {
	text := string(sample(t, "entra.json"))
	where := strings.Index(text, "\"status\": {")
	events, bad, err := all(strings.NewReader(text[:where] + "\"broken\": {\n" + text[where:]))
	if err != nil || len(events) != len(wantEntra)-1 || len(bad) != 1 || !strings.HasPrefix(bad[0], "line 2: ") {
		t.Errorf("%d events, %q, %v", len(events), bad, err)
	}
}

func TestABrokenRowCostsItselfOnly(t *testing.T) {
	rows := strings.SplitAfter(string(sample(t, "entra.csv")), "\r\n")
	for title, with := range map[string]string{
		"a quotation that never ends": "2026-11-20T14:00:00Z,\"open\r\n",
		"a quotation in the middle":   "2026-11-20T14:00:00Z,a\"b\"c\r\n",
		"too short":                   "2026-11-20T14:00:00Z\r\n",
		"a date that is none":         strings.Replace(rows[3], "2026-", "soon-", 1),
	} {
		t.Run(title, func(t *testing.T) {
			events, bad, err := all(strings.NewReader(strings.Join(rows[:3], "") + with + strings.Join(rows[4:], "")))
			if err != nil || len(events) != len(wantEntra)-1 || len(bad) != 1 || !strings.HasPrefix(bad[0], "line 4: ") {
				t.Errorf("%d events, want %d; %q, %v", len(events), len(wantEntra)-1, bad, err)
			}
		})
	}
}

func TestWhatIsNoSignInLogIsRefused(t *testing.T) {
	for title, text := range map[string]string{
		"empty": "", "a letter": "Dear Dana,\nthank you.\n", "a table of patients": "Name,Date,Diagnosis\nKim,2026-11-20,F41.1\n", "an empty array": "[]", "another JSON": `{"resourceType":"Bundle","entry":[{"x":1}]}`,
		"bytes": "\x00\x01\x02\xff\xfe", "a wrapper of nothing": `{"value": []}`,
	} {
		if events, _, err := all(strings.NewReader(text)); !errors.Is(err, logs.ErrNotALog) || len(events) > 0 {
			t.Errorf("%s: %d events, %v", title, len(events), err)
		}
	}
}

func TestATornReadIsTold(t *testing.T) {
	torn := errors.New("the line went dead")
	for _, name := range []string{"entra.json", "entra.csv", "google.json"} {
		text := sample(t, name)
		_, _, err := all(io.MultiReader(bytes.NewReader(text[:len(text)/2]), failing{torn}))
		if !errors.Is(err, torn) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// repeated gives a text again and again, up to a size: a file of any length
// without a disk.
type repeated struct {
	head, text []byte
	left       int64
	at         int
}

func (r *repeated) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	if r.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	r.left -= int64(n)
	return n, nil
}

// A file of any size takes the memory of a small one. It is 200 MB here, and 5
// GB where QUIETROOM_SOAK is set.
func TestAHugeFileTakesLittleMemory(t *testing.T) {
	size := int64(200 << 20)
	if os.Getenv("QUIETROOM_SOAK") != "" {
		size = 5 << 30
	}
	if testing.Short() {
		size = 20 << 20
	}
	ndjson := sample(t, "entra.ndjson")
	table := sample(t, "entra.csv")
	cut := bytes.IndexByte(table, '\n') + 1
	for name, r := range map[string]io.Reader{
		"json":               &repeated{text: ndjson, left: size},
		"csv":                &repeated{head: table[:cut], text: table[cut:], left: size},
		"one endless line":   &repeated{text: []byte(`{"id":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxx`), left: size / 4},
		"one endless nest":   &repeated{text: []byte(`{"id":[[[[[[[[[[{`), left: size / 4},
		"one endless quote":  &repeated{head: table[:cut], text: []byte("\"open\n"), left: size / 16},
		"one endless header": &repeated{text: []byte("a,b,c,"), left: size / 4},
	} {
		t.Run(name, func(t *testing.T) {
			var before, now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			events, most := 0, uint64(0)
			for _, err := range logs.New(r).Events() {
				if err == nil {
					if events++; events%200_000 == 0 {
						runtime.GC()
						runtime.ReadMemStats(&now)
						most = max(most, now.HeapAlloc)
					}
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
			if grew := int64(most) - int64(before.HeapAlloc); grew > 16<<20 {
				t.Errorf("after %d events it holds %d MB more", events, grew>>20)
			}
			if (name == "json" || name == "csv") && events < 1000 {
				t.Errorf("only %d events were read", events)
			}
		})
	}
}

func FuzzNoFileBreaksTheReader(f *testing.F) {
	for _, name := range []string{"entra.json", "entra-graph.json", "entra.ndjson", "entra.csv", "google.json", "google.csv"} {
		text := sample(f, name)
		f.Add(text[:min(len(text), 2000)])
	}
	f.Add([]byte("Date,Actor,Event\n\"a\n\n\"\"\"\n"))
	f.Add([]byte("{\"a\":{\n{\"createdDateTime\""))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := logs.New(bytes.NewReader(text))
		lines := bytes.Count(text, []byte{'\n'}) + 1
		n := 0
		for e, err := range r.Events() {
			if n++; n > 10*lines+len(text) {
				t.Fatalf("%d events in %d bytes", n, len(text))
			}
			if b, ok := errors.AsType[*logs.Bad](err); ok {
				if b.Line < 1 || b.Line > lines {
					t.Fatalf("it tells of line %d of %d", b.Line, lines)
				}
				continue
			}
			if err == nil && (e.Mailbox == "" || e.At.IsZero() || e.Country != "" && len(e.Country) != 2) {
				t.Fatalf("half an event: %+v", e)
			}
		}
		for _, name := range r.Unknown() {
			if len([]rune(name)) > 61 || strings.ContainsAny(name, "\r\n") {
				t.Fatalf("a heading that is no heading: %q", name)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for _, name := range []string{"entra.ndjson", "entra.csv", "google.json"} {
		text := sample(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if events, _, err := all(bytes.NewReader(text)); err != nil || len(events) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}
