package fhir

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// read returns all that paths hold.
func read(t testing.TB, paths ...string) (units []Unit, problems []*Problem) {
	t.Helper()
	for u, err := range Read(t.Context(), paths, Options{}) {
		if err == nil {
			units = append(units, u)
			continue
		}
		p, ok := errors.AsType[*Problem](err)
		if !ok {
			t.Fatalf("Read gave an error that is no Problem: %v", err)
		}
		problems = append(problems, p)
	}
	return units, problems
}

// readText reads one file of the given name.
func readText(t testing.TB, name, text string) ([]Unit, []*Problem) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

func reasons(problems []*Problem) string {
	var all []string
	for _, p := range problems {
		all = append(all, p.Detail())
	}
	return strings.Join(all, "\n")
}

// inside lists what a unit holds, by key.
func inside(u Unit) []string {
	var keys []string
	if !u.Shared() {
		keys = append(keys, u.Patient.Key())
	}
	for _, r := range u.Resources {
		keys = append(keys, r.Key())
	}
	slices.Sort(keys)
	return keys
}

// decoded reads JSON the way everybody does, numbers kept as they are written.
func decoded(t testing.TB, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("what was kept is no JSON: %v in %.200s", err, raw)
	}
	return v
}

// bundleResources decodes all resources of a Bundle file by encoding/json.
func bundleResources(t testing.TB, path string) []any {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []any
	for _, entry := range decoded(t, raw).(map[string]any)["entry"].([]any) {
		all = append(all, entry.(map[string]any)["resource"])
	}
	return all
}

func TestABundleBecomesOnePatientEqualFieldByField(t *testing.T) {
	units, problems := read(t, "testdata/bundle.json")
	if len(units) != 1 || len(problems) != 0 {
		t.Fatalf("got %d units and problems %q, want the one patient", len(units), reasons(problems))
	}
	u := units[0]
	want := bundleResources(t, "testdata/bundle.json")
	got := append([]Resource{u.Patient}, u.Resources...)
	if len(got) != len(want) {
		t.Fatalf("got %d resources, want %d", len(got), len(want))
	}
	for i, r := range got {
		if !reflect.DeepEqual(decoded(t, r.Raw), want[i]) {
			t.Errorf("%s changed on the way:\n%s", r.Key(), r.Raw)
		}
	}
	if !bytes.Contains(u.Resources[0].Raw, []byte(`"value":1.10,`)) {
		t.Errorf("the number 1.10 lost its zero: %s", u.Resources[0].Raw)
	}
	if u.Line != 4 || u.Resources[0].Line != 31 {
		t.Errorf("patient and observation on lines %d and %d, want 4 and 31", u.Line, u.Resources[0].Line)
	}
	if u.Resources[1].FullURL != "https://ehr.example/fhir/Encounter/e1" {
		t.Errorf("the fullUrl was lost: %q", u.Resources[1].FullURL)
	}
}

func TestBulkLinesFindTheirPatientWhereverTheyStand(t *testing.T) {
	units, problems := read(t, "testdata/bulk")
	if len(problems) != 0 {
		t.Fatalf("problems: %s", reasons(problems))
	}
	got := map[string][]string{}
	for _, u := range units {
		got[u.Patient.ID] = inside(u)
	}
	want := map[string][]string{
		"a": {"Observation/o1", "Observation/o3", "Patient/a", "Provenance/v1"},
		"b": {"Binary/scan", "DocumentReference/d1", "Observation/o2", "Patient/b"},
		"":  {"Practitioner/dr"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestTheSameComesOutOfFoldersZipsAndGzips(t *testing.T) {
	dir := t.TempDir()
	folder, packed := filepath.Join(dir, "gz"), filepath.Join(dir, "all.zip")
	os.Mkdir(folder, 0o700)
	out, err := os.Create(packed)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(out)
	names, _ := filepath.Glob("testdata/bulk/*.ndjson")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		w, _ := z.Create("../" + filepath.Base(name))
		w.Write(text)
		var b bytes.Buffer
		g := gzip.NewWriter(&b)
		g.Write(text)
		g.Close()
		os.WriteFile(filepath.Join(folder, filepath.Base(name)+".gz"), b.Bytes(), 0o600)
	}
	z.Close()
	out.Close()
	want := contents(t, "testdata/bulk")
	for _, path := range []string{folder, packed} {
		if got := contents(t, path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v\nwant %v", filepath.Base(path), got, want)
		}
	}
}

// contents maps the key of each unit to its raw resources.
func contents(t testing.TB, paths ...string) map[string][]string {
	t.Helper()
	units, problems := read(t, paths...)
	for _, p := range problems {
		if !p.LeftAlone {
			t.Fatalf("problem: %s", p.Detail())
		}
	}
	all := map[string][]string{}
	for _, u := range units {
		for _, r := range append([]Resource{u.Patient}, u.Resources...) {
			all[u.Key] = append(all[u.Key], string(r.Raw))
		}
	}
	for _, list := range all {
		slices.Sort(list)
	}
	return all
}

const (
	ann   = `{"resourceType":"Patient","id":"ann"}`
	bob   = `{"resourceType":"Patient","id":"bob"}`
	mood  = `{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/ann"},"valueInteger":1}`
	sleep = `{"resourceType":"Observation","id":"2","subject":{"reference":"Patient/bob"}}`
	place = `{"resourceType":"Location","id":"l"}`
)

func bundle(resources ...string) string {
	var entries []string
	for _, r := range resources {
		entries = append(entries, `{"resource":`+r+`}`)
	}
	return `{"resourceType":"Bundle","type":"collection","entry":[` + strings.Join(entries, ",\n") + `]}`
}

func lines(resources ...string) string { return strings.Join(resources, "\n") + "\n" }

func TestBadInputIsReportedAndTheRestGoesOn(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)
	for _, c := range []struct {
		name, file, text string
		units            []string // keys of each unit
		line             int      // of the first problem
		reason           string   // of the first problem, "" for none
	}{
		{"a torn Bundle gives nothing", "a.json", bundle(ann, mood)[:120], nil, 2, "torn"},
		{"a Bundle with rubbish behind it gives nothing", "a.json", bundle(ann) + "x", nil, 1, "more follows"},
		{"a resource with rubbish behind it gives nothing", "a.json", ann + "]", nil, 1, "more follows"},
		{"a torn line is left out", "a.ndjson", lines(ann, mood[:30], mood), []string{"Observation/1 Patient/ann"}, 2, "the line ends inside"},
		{"the last line may lack its newline", "a.ndjson", ann + "\n" + mood, []string{"Observation/1 Patient/ann"}, 0, ""},
		{"two resources on a line", "a.ndjson", ann + bob + "\n" + bob, []string{"Patient/bob"}, 1, "more follows on the line"},
		{"a byte order mark and CRLF are fine", "a.ndjson", "\ufeff" + ann + "\r\n" + mood + "\r\n\r\n", []string{"Observation/1 Patient/ann"}, 0, ""},
		{"a mark before a Bundle is fine", "a.json", "\ufeff" + bundle(ann), []string{"Patient/ann"}, 0, ""},
		{"a NUL byte", "a.ndjson", "{\"resourceType\":\"Patient\",\x00\"id\":\"x\"}\n" + bob, []string{"Patient/bob"}, 1, "byte 0x00"},
		{"a NUL byte in a text", "a.json", "{\"resourceType\":\"Pa\x00tient\"}", nil, 1, "byte 0x00"},
		{"only NUL bytes", "a.json", "\x00\x00\x00", nil, 1, "byte 0x00"},
		{"not UTF-8", "a.json", "{\"resourceType\":\"Patient\",\"id\":\"\xff\"}", nil, 1, "UTF-8"},
		{"UTF-8 cut by the end", "a.json", "{\"resourceType\":\"Patient\",\"id\":\"\xc3", nil, 1, "UTF-8"},
		{"10,000 levels deep", "a.ndjson", deep + "\n" + ann, []string{"Patient/ann"}, 1, "nested deeper than 64"},
		{"one member twice", "a.json", bundle(`{"resourceType":"Patient","id":"x","id":"y"}`, ann), []string{"Patient/ann"}, 1, "one member twice"},
		{"one member twice, once escaped", "a.ndjson", `{"resourceType":"Patient","id":"x","\u0069d":"y"}`, nil, 1, "one member twice"},
		{"more members than FHIR has", "a.ndjson", `{"resourceType":"Patient"` + strings.Repeat(`,"x":1`, 20_000) + "}\n" + ann, []string{"Patient/ann"}, 1, "10,000 members"},
		{"a trailing comma", "a.json", `{"resourceType":"Patient",}`, nil, 1, "member name"},
		{"an entry without resource", "a.json", `{"resourceType":"Bundle","entry":[{"fullUrl":"urn:uuid:1"},{"resource":` + ann + `}]}`, []string{"Patient/ann"}, 1, "holds no resource"},
		{"an entry with two resources", "a.json", `{"resourceType":"Bundle","entry":[{"resource":` + bob + `,"resource":` + ann + `}]}`, nil, 1, "two resources"},
		{"an entry that is a number", "a.json", `{"resourceType":"Bundle","entry":[7,{"resource":` + ann + `}]}`, []string{"Patient/ann"}, 1, "no object"},
		{"entries that are no list", "a.json", `{"resourceType":"Bundle","entry":{}}`, nil, 1, "no list"},
		{"entries twice", "a.json", `{"resourceType":"Bundle","entry":[],"entry":[]}`, nil, 1, "entry twice"},
		{"entries before the type, no type", "a.json", `{"entry":[{"resource":` + ann + `}]}`, nil, 1, "no resourceType"},
		{"entries before the type, torn", "a.json", `{"entry":[{"resource":` + ann, nil, 1, "torn"},
		{"a List has entries too", "a.json", `{"entry":[{"item":{}}],"resourceType":"List","id":"l"}`, []string{"List/l"}, 0, ""},
		{"JSON that is no FHIR", "a.json", `{"name":"package","version":1}`, nil, 1, "no resourceType"},
		{"a list", "a.json", `[` + ann + `]`, nil, 1, "begins with {"},
		{"an empty file", "a.json", "", nil, 1, "torn"},
		{"an empty NDJSON file", "a.ndjson", "", nil, 0, ""},
		{"an id that is a number", "a.json", bundle(`{"resourceType":"Patient","id":7}`, ann), []string{"Patient/ann"}, 1, "the id"},
		{"two patients in one Bundle", "a.json", bundle(ann, bob, mood, sleep, place), []string{"Observation/1 Patient/ann", "Observation/2 Patient/bob", "Location/l"}, 0, ""},
		{"what belongs to nobody goes with the only patient", "a.json", bundle(place, ann), []string{"Location/l Patient/ann"}, 0, ""},
		{"a Bundle on a line", "a.ndjson", strings.ReplaceAll(bundle(ann, mood), "\n", "") + "\n" + bob, []string{"Observation/1 Patient/ann", "Patient/bob"}, 0, ""},
		{"a torn Bundle on a line", "a.ndjson", strings.ReplaceAll(bundle(ann, mood), "\n", "")[:130] + "\n" + bob, []string{"Patient/bob"}, 1, "the line ends inside"},
		{"a patient elsewhere", "a.json", bundle(ann, sleep), []string{"Patient/ann"}, 2, "not among the files"},
		{"a urn that leads nowhere", "a.json", bundle(ann, strings.Replace(sleep, "Patient/bob", "urn:uuid:7", 1)), []string{"Patient/ann"}, 2, "nowhere in this file"},
		{"the same number on another server", "a.json", `{"resourceType":"Bundle","entry":[{"fullUrl":"https://a.example/Patient/ann","resource":` + ann + "},\n" +
			`{"resource":` + strings.Replace(mood, "Patient/ann", "https://b.example/Patient/ann", 1) + `}]}`, []string{"Patient/ann"}, 2, "nowhere in this file"},
		{"a line whose patient is missing", "a.ndjson", lines(ann, sleep), []string{"Patient/ann"}, 2, "not among the files"},
		{"the same resource twice", "a.json", bundle(ann, mood, mood), []string{"Observation/1 Patient/ann"}, 0, ""},
		{"the same id with other content", "a.json", bundle(ann, mood, strings.Replace(mood, ":1}", ":2}", 1)), []string{"Observation/1 Patient/ann"}, 3, "other content (line 2)"},
		{"the same patient with other content", "a.ndjson", lines(ann, `{"resourceType":"Patient","id":"ann","active":true}`), []string{"Patient/ann"}, 2, "other content"},
		{"an unknown type of file", "a.txt", "hello", nil, 0, "not FHIR"},
		{"a zip that is none", "a.zip", "PK\x03\x04rubbish", nil, 0, "not a whole zip"},
		{"a gzip that is none", "a.json.gz", "rubbish", nil, 0, "not a whole gzip"},
	} {
		t.Run(c.name, func(t *testing.T) {
			units, problems := readText(t, c.file, c.text)
			var got []string
			for _, u := range units {
				got = append(got, strings.Join(inside(u), " "))
			}
			if !slices.Equal(got, c.units) {
				t.Errorf("units %q, want %q (problems: %s)", got, c.units, reasons(problems))
			}
			if c.reason == "" {
				if len(problems) != 0 {
					t.Errorf("unexpected problems: %s", reasons(problems))
				}
				return
			}
			if len(problems) == 0 || !strings.Contains(problems[0].Reason, c.reason) || problems[0].Line != c.line {
				t.Errorf("problems %q, want %q on line %d", reasons(problems), c.reason, c.line)
			}
		})
	}
}

func TestAProblemNamesTheFileInWhichItStands(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "a.ndjson"), []byte(lines(ann, mood)), 0o600)
	os.WriteFile(filepath.Join(dir, "b.ndjson"), []byte(lines("", strings.Replace(mood, ":1}", ":2}", 1))), 0o600)
	_, problems := read(t, dir)
	if len(problems) != 1 || problems[0].Number != 2 || problems[0].Line != 2 || problems[0].Patient != "ann" {
		t.Errorf("got %s, want b.ndjson, line 2, patient ann", reasons(problems))
	}
}

func TestALineIsNeverGuessedOntoOneOfTwoPatients(t *testing.T) {
	dir := t.TempDir()
	number := `{"resourceType":"Patient","id":"ann","identifier":[{"value":"%s","type":{"coding":[{"code":"MR"}]}}]}`
	os.WriteFile(filepath.Join(dir, "a.json"), []byte(bundle(fmt.Sprintf(number, "1"))), 0o600)
	os.WriteFile(filepath.Join(dir, "b.json"), []byte(bundle(fmt.Sprintf(number, "2"))), 0o600)
	os.WriteFile(filepath.Join(dir, "c.ndjson"), []byte(lines(mood)), 0o600)
	units, problems := read(t, dir)
	if len(units) != 2 || len(problems) != 1 || problems[0].Number != 3 {
		t.Errorf("%d units, problems %q: want two patients, and the line reported", len(units), reasons(problems))
	}
}

func TestAProblemNamesNobody(t *testing.T) {
	_, problems := readText(t, "Ann_Alder.ndjson", lines(ann, sleep, "{"))
	if len(problems) != 2 {
		t.Fatalf("got %d problems, want 2", len(problems))
	}
	for _, p := range problems {
		if s := p.Error(); strings.Contains(s, "Alder") || strings.Contains(s, "bob") || !strings.HasPrefix(s, "file 1, line ") {
			t.Errorf("Error says %q: it goes to logs and may only count files and lines", s)
		}
		if !strings.Contains(p.Detail(), "Ann_Alder.ndjson, line ") {
			t.Errorf("Detail says %q: the person at the terminal needs the path", p.Detail())
		}
	}
	if !strings.Contains(problems[1].Detail(), "patient bob") {
		t.Errorf("Detail says %q: the patient is missing", problems[1].Detail())
	}
}

func TestOtherFilesInAFolderAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "readme.txt"), []byte("hello"), 0o600)
	os.WriteFile(filepath.Join(dir, "._a.json"), []byte("\x00"), 0o600)
	os.WriteFile(filepath.Join(dir, "a.json"), []byte(ann), 0o600)
	os.Symlink("/dev/zero", filepath.Join(dir, "z.json"))
	units, problems := read(t, dir)
	if len(units) != 1 || len(problems) != 3 {
		t.Fatalf("got %d units and %q", len(units), reasons(problems))
	}
	for _, p := range problems {
		if !p.LeftAlone {
			t.Errorf("%q counts as an error", p.Detail())
		}
	}
}

func TestABundleLargerThanMemoryIsGatheredPatientByPatient(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100 MiB")
	}
	pad := strings.Repeat("x", 5<<20)
	var all []string
	for i := range 20 {
		all = append(all,
			fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i),
			fmt.Sprintf(`{"resourceType":"Binary","id":"b%d","securityContext":{"reference":"Patient/p%d"},"data":"%s"}`, i, 19-i, pad))
	}
	units, problems := readText(t, "a.json", bundle(all...))
	if len(units) != 20 || len(problems) != 0 {
		t.Fatalf("got %d units and problems %s, want 20 patients", len(units), reasons(problems))
	}
	for _, u := range units {
		var i int
		fmt.Sscanf(u.Patient.ID, "p%d", &i)
		want := []string{fmt.Sprintf("Binary/b%d", 19-i), fmt.Sprintf("Patient/p%d", i)}
		if got := inside(u); !slices.Equal(got, want) || len(u.Resources[0].Raw) < len(pad) {
			t.Errorf("patient %d holds %v, want %v", i, got, want)
		}
	}
}

func TestAnEnormousResourceIsRefusedAndTheRestGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 128 MiB")
	}
	huge := `{"resourceType":"Binary","id":"h","data":"` + strings.Repeat("A", MaxResource) + `"}`
	for _, c := range []struct{ file, text string }{{"a.ndjson", lines(huge, ann)}, {"a.json", bundle(huge, ann)}} {
		units, problems := readText(t, c.file, c.text)
		if len(units) != 1 || len(problems) != 1 || !strings.Contains(problems[0].Reason, "larger than 64 MiB") || problems[0].Line != 1 {
			t.Errorf("%s: %d units, problems %s", c.file, len(units), reasons(problems))
		}
	}
}

func TestAZipBombIsRefused(t *testing.T) {
	zeros := make([]byte, 1<<20)
	copy(zeros, `{"resourceType":"Binary","data":"`)
	blow := func(w interface{ Write([]byte) (int, error) }) {
		w.Write(zeros[:33])
		spaces := bytes.Repeat([]byte("A"), 1<<20)
		for range 128 {
			w.Write(spaces)
		}
		w.Write([]byte(`"}`))
	}
	var zipped, gzipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	w, _ := z.Create("a.json")
	blow(w)
	z.Close()
	g := gzip.NewWriter(&gzipped)
	blow(g)
	g.Close()
	for name, packed := range map[string]string{"a.zip": zipped.String(), "a.json.gz": gzipped.String()} {
		units, problems := readText(t, name, packed)
		if len(units) != 0 || len(problems) != 1 || !strings.Contains(problems[0].Reason, "zip bomb") {
			t.Errorf("%s: %d units, problems %s", name, len(units), reasons(problems))
		}
	}
}

func TestWhitespaceWithoutEndCostsNoMemory(t *testing.T) {
	text := `{"resourceType":"Patient",` + strings.Repeat(" \n", 40<<20) + `"id":"ann"}`
	units, problems := readText(t, "a.json", text)
	if len(units) != 1 || len(problems) != 0 || string(units[0].Patient.Raw) != ann {
		t.Errorf("%d units, problems %s", len(units), reasons(problems))
	}
}

func TestAPatientsKeyIsStable(t *testing.T) {
	key := func(raw string) string { return patientKey(Resource{Type: "Patient", ID: "1", Raw: []byte(raw)}) }
	mr := func(n string) string {
		return `{"id":"1","identifier":[{"system":"s","value":"` + n + `","type":{"coding":[{"code":"MR"}]}}]}`
	}
	if key(mr("17")) == key(mr("18")) {
		t.Error("two people with the id 1 in two systems would become one chart")
	}
	if key(`{"id":"1","active":true}`) != key(`{"id":"1","active":false}`) {
		t.Error("a patient who changed is taken for another")
	}
}

func TestAFileThatChangesMeanwhileMixesNobodyUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.ndjson")
	os.WriteFile(path, []byte(lines(ann, bob, mood, sleep)), 0o600)
	o := Options{Progress: func(int64, int64) {
		swapped := strings.NewReplacer("Patient/ann", "Patient/bob", "Patient/bob", "Patient/ann").Replace(lines(ann, bob, mood, sleep))
		os.WriteFile(path, []byte(swapped), 0o600)
	}}
	problems := 0
	for u, err := range Read(t.Context(), []string{path}, o) {
		if err != nil {
			problems++
		}
		if len(u.Resources) > 0 {
			t.Errorf("%s got %s", u.Patient.ID, u.Resources[0].Raw)
		}
	}
	if problems != 2 {
		t.Errorf("%d problems, want one for each line that changed", problems)
	}
}

func TestACancelledReadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range Read(ctx, []string{"testdata/bundle.json"}, Options{}) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("ended with %v, want the context's error", last)
	}
}

func TestProgressReachesTheEnd(t *testing.T) {
	var last, total int64
	o := Options{Progress: func(done, all int64) {
		if done < last || done > all {
			t.Errorf("progress went from %d to %d of %d", last, done, all)
		}
		last, total = done, all
	}}
	for range Read(t.Context(), []string{"testdata/bulk", "testdata/bundle.json"}, o) {
	}
	if last != total || total == 0 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
}

func TestTheNineSamplePatientsComeOutEqual(t *testing.T) {
	paths, _ := filepath.Glob(filepath.Join(samples(t), "*.json"))
	units, problems := read(t, paths...)
	if len(units) != len(paths) || len(problems) != 0 {
		t.Fatalf("%d units of %d Bundles, problems %s", len(units), len(paths), reasons(problems))
	}
	for i, u := range units {
		want := map[string]any{}
		for _, r := range bundleResources(t, paths[i]) {
			m := r.(map[string]any)
			want[m["resourceType"].(string)+"/"+m["id"].(string)] = r
		}
		got := map[string]any{}
		for _, r := range append(u.Resources, u.Patient) {
			got[r.Key()] = decoded(t, r.Raw)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("Bundle %d: %d resources came out, %d went in, or they differ", i+1, len(got), len(want))
		}
	}
	exported := exportUnits(t, units)
	again := contents(t, exported)
	if want := contents(t, paths...); !maps.EqualFunc(again, want, slices.Equal) {
		t.Error("the export does not read back as what was imported")
	}
}
