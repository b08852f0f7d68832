package exchange_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/store/storetest"
	"quietroom/layer"
	"quietroom/rooms/exchange"
)

// TestMain turns this binary into an import to be killed, where asked to.
func TestMain(m *testing.M) {
	if dir := os.Getenv("QUIETROOM_VICTIM"); dir != "" {
		victim(dir, os.Getenv("QUIETROOM_VICTIM_FROM"))
	}
	os.Exit(m.Run())
}

func victim(dir, from string) {
	k, err := readKeep(dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	h, err := openHouse(context.Background(), dir, k)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("begun")
	if out := os.Getenv("QUIETROOM_VICTIM_OUT"); out != "" {
		sum, err := h.Export(h.jo, out, exchange.Takeout{})
		fmt.Println("ended", sum.Patients, err)
		os.Exit(0)
	}
	sum, err := h.Import(h.jo, []string{from}, exchange.Options{Care: []id.Team{h.team}})
	fmt.Println("ended", sum.Patients, err)
	os.Exit(0)
}

func readKeep(dir string) (k keep, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "keep.json"))
	if err != nil {
		return k, err
	}
	return k, json.Unmarshal(b, &k)
}

// crowd is a folder of patients, some with a record long enough to be a stream.
func crowd(t testing.TB, patients int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range patients {
		p := fmt.Sprintf("p%d", i)
		entries := []string{observation("o"+p, p, "1.50"), `{"resourceType":"Claim","id":"c` + p + `","patient":{"reference":"Patient/` + p + `"}}`}
		if i%10 == 0 {
			entries = append(entries, `{"resourceType":"Basic","id":"b`+p+`","subject":{"reference":"Patient/`+p+`"},"x":"`+strings.Repeat("long ", 100_000)+`"}`)
		}
		if err := os.WriteFile(filepath.Join(dir, p+".json"), []byte(bundle(p, entries...)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// stored is what the house holds, as content tells it, without a folder.
func (h *house) stored(t testing.TB) map[string]any {
	t.Helper()
	all := map[string]any{}
	for p, err := range h.vault.Patients(h.jo) {
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		z := zip.NewWriter(&packed)
		if err := errors.Join(h.Layer().Export(h.jo, p, z), z.Close()); err != nil {
			t.Fatal(err)
		}
		maps.Copy(all, content(t, write(t, "part.zip", packed.String())))
	}
	return all
}

// whole fails unless each patient who is here is here with everything.
func whole(t testing.TB, got, want map[string]any) {
	t.Helper()
	here := map[string]bool{}
	for key := range got {
		here[key[:strings.IndexByte(key, '/')]] = true
	}
	for key, w := range want {
		if p := key[:strings.IndexByte(key, '/')]; here[p] && !reflect.DeepEqual(got[key], w) {
			t.Fatalf("patient %s is here by half: %s is missing or differs", p, key)
		}
	}
}

func TestAKilledImportLeavesWholePatientsAndResumes(t *testing.T) {
	if testing.Short() {
		t.Skip("kills are left out by -short")
	}
	rounds := 20
	if os.Getenv("QUIETROOM_SOAK") == "1" {
		rounds = 200
	}
	const patients = 120
	from := crowd(t, patients)
	want := content(t, from)
	partly := 0
	for round := range rounds {
		dir := t.TempDir()
		k := newKeep(t)
		b, err := json.Marshal(k)
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "keep.json"), b, 0o600)); err != nil {
			t.Fatal(err)
		}
		killed(t, dir, from, time.Duration(round)*150*time.Millisecond/time.Duration(rounds))
		h := open(t, dir, k)
		n := h.count(t)
		if n > 0 && n < patients {
			partly++
		}
		whole(t, h.stored(t), want)
		if sum := h.imports(t, from); sum.New != patients-n || sum.Patients != patients {
			t.Fatalf("round %d: %d patients were here; the import after it says %+v", round, n, sum)
		}
		if got := h.stored(t); !reflect.DeepEqual(got, want) {
			t.Fatalf("round %d: the completed import holds %d resources, want %d", round, len(got), len(want))
		}
		if r, err := h.ledger.Verify(t.Context(), ledger.Options{}); err != nil || !r.Held() {
			t.Fatalf("round %d: the ledger does not hold: %+v, %v", round, r, err)
		}
		h.close()
	}
	if partly < rounds/4 {
		t.Errorf("only %d of %d kills met an import half way: the test proves too little", partly, rounds)
	}
	t.Logf("%d kills, %d of them half way", rounds, partly)
}

// killed runs an import, or an export, in a process of its own and kills it some
// time after it began.
func killed(t *testing.T, dir, from string, after time.Duration, env ...string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "QUIETROOM_VICTIM="+dir, "QUIETROOM_VICTIM_FROM="+from), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 6)
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "begun\n" {
		t.Fatalf("the import did not begin: %q, %v", line, err)
	}
	time.Sleep(after)
	cmd.Process.Kill()
	cmd.Wait()
}

func TestACancelledImportLeavesWholePatientsAndResumes(t *testing.T) {
	const patients = 400
	from := crowd(t, patients)
	want := content(t, from)
	for _, after := range []int{1, 10, 30} {
		h := newHouse(t)
		ctx, cancel := context.WithCancel(h.jo)
		h.Now = slowClock()
		_, err := h.Import(ctx, []string{from}, exchange.Options{Care: []id.Team{h.team}, Step: func(p exchange.Progress) {
			if p.Patients >= after {
				cancel()
			}
		}})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want that it was cancelled", err)
		}
		n := h.count(t)
		if n < after || n == patients {
			t.Fatalf("%d patients after %d: it was not stopped on the way", n, after)
		}
		whole(t, h.stored(t), want)
		if sum := h.imports(t, from); sum.New != patients-n {
			t.Fatalf("%d patients were here, the next import says %+v", n, sum)
		}
		if got := h.stored(t); !reflect.DeepEqual(got, want) {
			t.Fatalf("the completed import holds %d resources, want %d", len(got), len(want))
		}
	}
}

// slowClock goes on a second each time it is asked, so that every step is told.
func slowClock() func() time.Time {
	var mu sync.Mutex
	now := time.Now()
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
}

func TestTwoImportsAtOnceAdmitEverybodyOnce(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { importsAtOnce(t, newHouse(t)) })
	t.Run("postgres", func(t *testing.T) {
		k := newKeep(t)
		k.Database = storetest.Postgres(t)
		importsAtOnce(t, open(t, t.TempDir(), k))
	})
}

func importsAtOnce(t *testing.T, h *house) {
	const patients = 40
	from := crowd(t, patients)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			sum, err := h.Import(h.jo, []string{from}, exchange.Options{Care: []id.Team{h.team}})
			if err != nil || sum.Bad != 0 || sum.Patients != patients {
				t.Errorf("%+v, %v", sum, err)
			}
		})
	}
	wg.Wait()
	if n := h.count(t); n != patients {
		t.Errorf("%d patients, want %d", n, patients)
	}
	if got, want := h.stored(t), content(t, from); !reflect.DeepEqual(got, want) {
		t.Errorf("the house holds %d resources, want %d", len(got), len(want))
	}
}

func TestTwoChangesAtOnceAreBothKept(t *testing.T) {
	h := newHouse(t)
	h.imports(t, write(t, "a.json", bundle("p1")))
	var wg sync.WaitGroup
	want := []string{}
	for i := range 6 {
		o := observation(fmt.Sprint("o", i), "p1", "1")
		want = append(want, o)
		path := write(t, "b.json", bundle("p1", o))
		wg.Go(func() {
			if sum, err := h.Import(h.jo, []string{path}, exchange.Options{Care: []id.Team{h.team}}); err != nil || sum.Bad != 0 {
				t.Errorf("%+v, %v", sum, err)
			}
		})
	}
	wg.Wait()
	equal(t, h.exports(t), content(t, write(t, "c.json", bundle("p1", want...))))
}

func TestAFullDiskStopsAnImportWithASentence(t *testing.T) {
	dir := smallDisk(t)
	h := open(t, dir, newKeep(t))
	from := crowd(t, 400)
	sum, err := h.Import(h.jo, []string{from}, exchange.Options{Care: []id.Team{h.team}})
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("got %v after %+v, want ErrFull", err, sum)
	}
	if n := h.count(t); n < sum.Patients || n == 400 {
		t.Errorf("%d patients are here, the import says %d", n, sum.Patients)
	}
	if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
		t.Fatal(err)
	}
	whole(t, h.stored(t), content(t, from))
}

func TestAnotherTeamsPatientIsLeftAsIs(t *testing.T) {
	h := newHouse(t)
	h.imports(t, write(t, "a.json", bundle("p1", observation("o1", "p1", "1"))))
	before := h.stored(t)
	path := write(t, "b.json", bundle("p1", observation("o1", "p1", "2")))
	sum, err := h.Import(h.ana, []string{path}, exchange.Options{Care: []id.Team{h.anas}})
	if err != nil || sum.Bad != 1 || sum.Patients != 0 || !strings.Contains(sum.Problems[0].Reason, "another team") {
		t.Errorf("%+v, %v", sum, err)
	}
	if after := h.stored(t); !reflect.DeepEqual(before, after) {
		t.Error("the patient changed")
	}
}

func TestNobodySignedInImportsNothing(t *testing.T) {
	h := newHouse(t)
	_, err := h.Import(t.Context(), []string{crowd(t, 3)}, exchange.Options{Care: []id.Team{h.team}})
	if !errors.Is(err, layer.ErrLocked) || h.count(t) != 0 {
		t.Errorf("got %v and %d patients", err, h.count(t))
	}
}

func TestBadInputIsToldAndTheRestGoesOn(t *testing.T) {
	good := bundle("p1", observation("o1", "p1", "1"))
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	for name, c := range map[string]struct {
		file, text string
		kept       int    // resources
		says       string // of the first problem
	}{
		"a torn Bundle is left out whole":    {"a.json", good[:len(good)-30], 0, "line 1: "},
		"a torn line":                        {"a.ndjson", `{"resourceType":"Patient","id":"p1"}` + "\n" + `{"resourceType":"Observation","id`, 1, "line 2: "},
		"a resource that is none":            {"a.json", bundle("p1", `{"id":"x"}`, observation("o1", "p1", "1")), 2, "no resourceType"},
		"not JSON":                           {"a.json", "hello", 0, "line 1"},
		"an empty file":                      {"a.json", "", 0, "line 1"},
		"objects without end":                {"a.json", bundle("p1", deep), 0, "line 1"},
		"a member twice":                     {"a.ndjson", `{"resourceType":"Patient","id":"p1"}` + "\n" + `{"resourceType":"Basic","id":"a","id":"b"}`, 1, "line 2: "},
		"somebody who is not among the file": {"a.ndjson", observation("o1", "p9", "1"), 0, "not among the files"},
		"no UTF-8":                           {"a.json", bundle("p1", observation("o1", "p1", "\"\xff\"")), 0, "line 1"},
		"no gzip":                            {"a.json.gz", "hello", 0, "gzip"},
		"no zip":                             {"a.zip", "PK\x03\x04", 0, "zip"},
		"no FHIR by its name":                {"a.pdf", "%PDF", 0, "not FHIR"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			path := write(t, c.file, c.text)
			sum, err := h.Import(h.jo, []string{path}, exchange.Options{Care: []id.Team{h.team}})
			if err != nil || sum.Bad == 0 || sum.Resources != c.kept {
				t.Fatalf("%+v, %v; want %d resources", sum, err, c.kept)
			}
			p := sum.Problems[0]
			if !strings.Contains(p.Detail(), c.says) || !strings.HasPrefix(p.Detail(), path) {
				t.Errorf("the problem is %q, want %q and the path", p.Detail(), c.says)
			}
			if strings.Contains(p.Error(), filepath.Dir(path)) {
				t.Errorf("what may be kept names the file: %q", p.Error())
			}
			if n := len(h.stored(t)); n != c.kept {
				t.Errorf("the house holds %d resources, want %d", n, c.kept)
			}
		})
	}
}

func TestNothingToImportIsSaid(t *testing.T) {
	h := newHouse(t)
	if _, err := h.Import(h.jo, []string{t.TempDir()}, exchange.Options{Care: []id.Team{h.team}}); !errors.Is(err, exchange.ErrNothing) {
		t.Errorf("an empty folder gives %v", err)
	}
	if _, err := h.Import(h.jo, []string{t.TempDir()}, exchange.Options{}); !errors.Is(err, exchange.ErrNoTeam) {
		t.Errorf("an import for no team gives %v", err)
	}
	sum, err := h.Import(h.jo, []string{filepath.Join(t.TempDir(), "nowhere.json")}, exchange.Options{Care: []id.Team{h.team}})
	if err != nil || sum.Bad != 1 {
		t.Errorf("a path that is not there gives %+v, %v", sum, err)
	}
}

func TestAFullDiskStopsAnExportAndLeavesNothingPlain(t *testing.T) {
	h := newHouse(t)
	h.imports(t, crowd(t, 400))
	dir := smallDisk(t)
	out := filepath.Join(dir, "out")
	if _, err := h.Export(h.jo, out, exchange.Takeout{}); !errors.Is(err, store.ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	if left, err := os.ReadDir(out); len(left) != 0 || err != nil {
		t.Errorf("the failed export left %v, %v", left, err)
	}
}

func TestACancelledExportLeavesNothingPlain(t *testing.T) {
	h := newHouse(t)
	h.imports(t, crowd(t, 60))
	ctx, cancel := context.WithCancel(h.jo)
	h.Now = slowClock()
	out := t.TempDir()
	_, err := h.Export(ctx, out, exchange.Takeout{Step: func(p exchange.Progress) {
		if p.Patients == 20 {
			cancel()
		}
	}})
	cancel()
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want that it was cancelled", err)
	}
	if left, err := os.ReadDir(out); len(left) != 0 || err != nil {
		t.Errorf("the cancelled export left %v, %v", left, err)
	}
}

func TestAKilledExportNeverLooksWhole(t *testing.T) {
	if testing.Short() {
		t.Skip("kills are left out by -short")
	}
	dir := t.TempDir()
	k := newKeep(t)
	b, err := json.Marshal(k)
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "keep.json"), b, 0o600)); err != nil {
		t.Fatal(err)
	}
	h := open(t, dir, k)
	h.imports(t, crowd(t, 200))
	h.close()
	partly := 0
	for round := range 8 {
		out := filepath.Join(t.TempDir(), "out")
		killed(t, dir, "", time.Duration(round)*40*time.Millisecond, "QUIETROOM_VICTIM_OUT="+out)
		patients, _ := os.ReadDir(filepath.Join(out, "patients"))
		_, unfinished := os.Stat(filepath.Join(out, "NOT-FINISHED.txt"))
		_, index := os.Stat(filepath.Join(out, "index.html"))
		if unfinished != nil && (index == nil || len(patients) > 0) && len(patients) != 200 {
			t.Fatalf("a killed export of %d patients looks whole", len(patients))
		}
		if unfinished == nil {
			partly++
			h := open(t, dir, k)
			if _, err := h.Export(h.jo, out, exchange.Takeout{}); !errors.Is(err, exchange.ErrNotEmpty) || !strings.Contains(err.Error(), "cut off") {
				t.Errorf("an export into what was cut off gives %v", err)
			}
			h.close()
		}
	}
	if partly == 0 {
		t.Error("no kill met an export half way: the test proves nothing")
	}
}

// unready is a practice that could lock itself out.
type unready struct{}

func (unready) Ready(context.Context) (int, bool, error) { return 1, false, nil }

func TestAnImportWaitsForTheKitAtTheFourthPatient(t *testing.T) {
	h := newHouse(t)
	h.vault.Recovery = unready{}
	from := crowd(t, 30)
	_, err := h.Import(h.jo, []string{from}, exchange.Options{Care: []id.Team{h.team}})
	if _, ok := errors.AsType[*layer.Refusal](err); !ok {
		t.Errorf("got %v, want a refusal that says what to do", err)
	}
	if n := h.count(t); n != 3 {
		t.Errorf("%d patients came in, want 3", n)
	}
	h.vault.Recovery = nil
	if sum := h.imports(t, from); sum.Patients != 30 || sum.New < 27 {
		t.Errorf("the next import says %+v", sum)
	}
}
