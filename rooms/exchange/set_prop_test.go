package exchange

import (
	"bytes"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"quietroom/rooms/exchange/fhir"
)

// A stored set says what was put in, whatever stands in the texts before a resource.
func TestALineSaysWhatWasPutIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tricky := rapid.SampledFrom([]string{"", "17", `x,"resource":{}}`, `\"`, "urn:uuid:1", "ü\u2028<b>"})
		var want []fhir.Resource
		for range rapid.IntRange(0, 5).Draw(t, "resources") {
			raw := rapid.SampledFrom([]string{`{}`, `{"a":1.10}`, `{"a":",\"resource\":"}`, `{"a":{"b":[1,2]}}`}).Draw(t, "raw")
			want = append(want, fhir.Resource{Type: "Basic", ID: tricky.Draw(t, "id"), FullURL: tricky.Draw(t, "url"), Raw: []byte(raw)})
		}
		seq := func(yield func(fhir.Resource, error) bool) {
			for _, r := range want {
				if !yield(r, nil) {
					return
				}
			}
		}
		in := reader(seq)
		defer in.Close()
		stored, err := io.ReadAll(iotest.OneByteReader(in))
		if err != nil {
			t.Fatal(err)
		}
		var got []fhir.Resource
		for line := range bytes.Lines(stored) {
			r, err := parseLine(line)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			got = append(got, r)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestEveryNameBecomesAHarmlessOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := names{}
		seen := map[string]bool{}
		for _, wanted := range rapid.SliceOf(rapid.String()).Draw(t, "names") {
			name := given.free(wanted)
			if name == "" || name == "." || name == ".." || len(name) > 200 || bytes.ContainsAny([]byte(name), "/\\\x00:") || name[0] == '.' || seen[name] {
				t.Fatalf("%q becomes %q", wanted, name)
			}
			seen[name] = true
		}
	})
}

func FuzzFields(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Basic","a":[1,[2],{"b":null}],"text":{"div":"x"}}`))
	f.Add([]byte(`[[[`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if list, cut := fields(raw); len(list) > mostFields || cut && len(list) == 0 {
			t.Errorf("%d fields, cut %t", len(list), cut)
		}
	})
}
