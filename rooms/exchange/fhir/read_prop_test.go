package fhir

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anyValue draws a JSON value as text, with white space wherever JSON allows it.
func anyValue(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kind := rapid.IntRange(0, 6).Draw(t, "kind")
		if depth == 0 {
			kind %= 4
		}
		gap := rapid.SampledFrom([]string{"", " ", "\t\r", "        \t         "})
		switch kind {
		case 0:
			b, _ := json.Marshal(rapid.String().Draw(t, "text"))
			return string(b)
		case 1:
			return rapid.SampledFrom([]string{"true", "false", "null", `"\ud83d\ude00"`, `"\u0000\/"`}).Draw(t, "word")
		case 2, 3:
			return rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?`).Draw(t, "number")
		case 4:
			items := rapid.SliceOfN(anyValue(depth-1), 0, 4).Draw(t, "items")
			return "[" + strings.Join(items, gap.Draw(t, "gap")+","+gap.Draw(t, "gap")) + gap.Draw(t, "gap") + "]"
		}
		var members []string
		for i, v := range rapid.SliceOfN(anyValue(depth-1), 0, 4).Draw(t, "values") {
			members = append(members, fmt.Sprintf(`"m%d"%s:%s%s`, i, gap.Draw(t, "gap"), gap.Draw(t, "gap"), v))
		}
		return "{" + gap.Draw(t, "gap") + strings.Join(members, ",") + "}"
	})
}

// TestAnythingThatComesInComesOut draws patients with arbitrary contents, in
// any arrangement of files, and wants each resource back: once, equal, with
// its own patient (who comes again where the records lie in two places).
func TestAnythingThatComesInComesOut(t *testing.T) {
	base := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		dir := filepath.Join(base, fmt.Sprint(run))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		want := map[string]map[string]any{}
		files := map[string][]string{}
		n := 0
		for p := range rapid.IntRange(1, 4).Draw(t, "patients") {
			id := fmt.Sprintf("p%d", p)
			want[id] = map[string]any{}
			for i := range rapid.IntRange(1, 5).Draw(t, "resources") {
				n++
				kind, rid, who := "Thing", fmt.Sprintf("r%d", n), `"subject":{"reference":"Patient/`+id+`"},`
				if i == 0 {
					kind, rid, who = "Patient", id, ""
				}
				raw := fmt.Sprintf(`{%s"resourceType":%q,"x":%s,"id":%q}`, who, kind, anyValue(3).Draw(t, "x"), rid)
				var v any
				if err := unmarshal(raw, &v); err != nil {
					t.Fatalf("the test made bad JSON: %v: %s", err, raw)
				}
				want[id][kind+"/"+rid] = v
				file := rapid.SampledFrom([]string{"a.ndjson", "b.ndjson", "c.json"}).Draw(t, "file")
				files[file] = append(files[file], raw)
			}
		}
		for name, all := range files {
			text := strings.ReplaceAll(lines(all...), "\r", " ")
			if name == "c.json" {
				text = `{"entry":[` + strings.NewReplacer("{\"resource\":", "{\n\"resource\" : ").Replace(entries(all)) + "],\n\"resourceType\":\"Bundle\"}"
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got := map[string]map[string]any{}
		for u, err := range Read(t.Context(), []string{dir}, Options{}) {
			if err != nil {
				t.Fatalf("a problem in good files: %v", err)
			}
			if u.Shared() {
				t.Fatalf("%d resources lost their patient", len(u.Resources))
			}
			if got[u.Patient.ID] == nil {
				got[u.Patient.ID] = map[string]any{}
			}
			for _, r := range append(u.Resources, u.Patient) {
				var v any
				if err := unmarshal(string(r.Raw), &v); err != nil {
					t.Fatal(err)
				}
				if _, twice := got[u.Patient.ID][r.Key()]; twice && r.Type != "Patient" {
					t.Fatalf("%s came out twice", r.Key())
				}
				got[u.Patient.ID][r.Key()] = v
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
	})
}

func entries(all []string) string {
	var list []string
	for _, r := range all {
		list = append(list, `{"resource":`+r+`}`)
	}
	return strings.Join(list, ",")
}

func unmarshal(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}
