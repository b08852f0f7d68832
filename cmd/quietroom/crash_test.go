package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/layer"
	"quietroom/rooms/exchange"
	"quietroom/rooms/vault"
)

// victim works in a house until it is killed, and says on standard output what
// is durable: "note PATIENT RECORD", "key EPOCH". Its words: what to do, the
// house's directory, a file with a code.
func victim() {
	if err := work(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
}

func work(ctx context.Context, what, dir, codeFile string) error {
	text, err := os.ReadFile(codeFile)
	if err != nil {
		return err
	}
	code, err := parsePersonal(string(text))
	if err != nil {
		return err
	}
	h, err := openHouse(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	go h.run(ctx)
	some, err := h.allPatients(ctx)
	if err != nil {
		return err
	}
	fmt.Println("begun")
	if what == "leave" {
		return h.everybodyLeaves(ctx, code)
	}
	for i := 0; ; i++ {
		if what == "rekey" {
			epoch, err := h.rekey(ctx, code)
			if err != nil {
				return err
			}
			fmt.Println("key", epoch)
		}
		p := some[i%len(some)]
		rec, err := h.noteDown(ctx, code, p)
		if err != nil {
			return err
		}
		fmt.Println("note", p, rec)
	}
}

func (h *house) allPatients(ctx context.Context) (all []id.Patient, err error) {
	for p, err := range h.vault.Patients(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// noteDown signs in and writes one note, durably.
func (h *house) noteDown(ctx context.Context, code seal.Code, p id.Patient) (id.Record, error) {
	ctx, done, err := h.identity.Enter(ctx, code)
	if err != nil {
		return "", err
	}
	defer done()
	return h.writeNote(ctx, p, 2000)
}

func (h *house) writeNote(ctx context.Context, p id.Patient, size int) (rec id.Record, err error) {
	b, err := h.vault.Begin(ctx)
	if err != nil {
		return "", err
	}
	defer b.Drop()
	c, err := b.In(ctx, p, vault.Chart)
	if err != nil {
		return "", err
	}
	if rec, err = b.Put(ctx, c, layer.Draft{Head: []byte(`{"kind":"note"}`), Body: noteText(p, size)}); err != nil {
		return "", err
	}
	return rec, b.Commit(ctx)
}

func noteText(p id.Patient, size int) []byte {
	return []byte(strings.Repeat(string(p)+" ", size/27))
}

// rekey gives the writer's care team a new key, and returns its number.
func (h *house) rekey(ctx context.Context, code seal.Code) (epoch uint64, err error) {
	u, err := h.identity.UnlockCode(ctx, code.Auth(), code.KEK())
	if err != nil {
		return 0, err
	}
	defer u.Wipe()
	team, err := h.identity.OwnTeam(ctx, u.Person)
	if err != nil {
		return 0, err
	}
	roster, err := h.identity.Roster(ctx)
	if err != nil {
		return 0, err
	}
	now, _ := roster.Team(string(team))
	var members []id.Person
	for _, m := range now.Members {
		members = append(members, id.Person(m))
	}
	if err := h.identity.Rotate(ctx, u, team, members); err != nil {
		return 0, err
	}
	return now.Epoch + 1, nil
}

// killPoints is at how many moments a test kills.
func killPoints() int {
	switch {
	case os.Getenv("QUIETROOM_SOAK") == "1":
		return 200
	case testing.Short():
		return 2
	}
	return 20
}

// murdered starts a command, kills it when the moment has come, and returns the
// lines that it said in full.
func murdered(t *testing.T, moment func(), name string, args ...string) (said []string) {
	t.Helper()
	var wrong strings.Builder
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = &wrong
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if name == "victim" {
		if first, err := lines.ReadString('\n'); first != "begun\n" {
			t.Fatalf("it did not begin: %q %v %s", first, err, wrong.String())
		}
	}
	go func() {
		moment()
		cmd.Process.Kill() // SIGKILL
	}()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // half a line acknowledges nothing
		}
		said = append(said, strings.TrimSuffix(line, "\n"))
	}
	err = cmd.Wait()
	if e, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || e.ExitCode() != -1) {
		t.Fatalf("it was not killed but ended: %v: %s", err, wrong.String())
	}
	return said
}

// survivor opens a house after a kill: all in it is readable, and the ledger holds.
func survivor(t *testing.T, dir string, code seal.Code) (*house, context.Context) {
	t.Helper()
	h, err := openHouse(t.Context(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("the house does not open after kill -9: %v", err)
	}
	ctx, done, err := h.identity.Enter(t.Context(), code)
	if err != nil {
		h.close()
		t.Fatalf("nobody gets in after kill -9: %v", err)
	}
	t.Cleanup(done)
	return h, ctx
}

// whole fails unless every patient is readable, with all that is listed, every
// acknowledged note too, and the ledger holds.
func (h *house) whole(t *testing.T, ctx context.Context, said []string) (patients int) {
	t.Helper()
	wanted := map[string]bool{}
	for _, line := range said {
		if word := strings.Fields(line); len(word) == 3 && word[0] == "note" {
			wanted[word[1]+word[2]] = true
		}
	}
	all, err := h.allPatients(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		who, err := h.vault.Open(ctx, p, vault.Identity)
		if err != nil {
			t.Fatalf("patient %s: %v", p, err)
		}
		if _, _, err := who.Card(ctx); err != nil {
			t.Fatalf("patient %s: %v", p, err)
		}
		who.Close()
		c, err := h.vault.Open(ctx, p, vault.Chart)
		if errors.Is(err, layer.ErrUnknown) {
			continue // nothing was written yet
		}
		if err != nil {
			t.Fatalf("chart of %s: %v", p, err)
		}
		list, err := c.List(ctx)
		if err != nil {
			t.Fatalf("chart of %s: %v", p, err)
		}
		for _, e := range list {
			_, body, err := c.Stream(ctx, e.Record)
			if err != nil {
				t.Fatalf("record %s of %s: %v", e.Record, p, err)
			}
			text, err := io.ReadAll(body)
			if err = errors.Join(err, body.Close()); err != nil {
				t.Fatalf("record %s of %s: %v", e.Record, p, err)
			}
			key := string(p) + string(e.Record)
			if wanted[key] && string(text) != string(noteText(p, 2000)) {
				t.Fatalf("note %s of %s is not what was written", e.Record, p)
			}
			delete(wanted, key)
		}
		c.Close()
	}
	if len(wanted) > 0 {
		t.Fatalf("%d acknowledged notes are gone", len(wanted))
	}
	if f, err := h.vault.Search(ctx, "", 10); err != nil || f.All != len(all) {
		t.Fatalf("the directory knows %d of %d patients: %v", f.All, len(all), err)
	}
	if r, err := h.ledger.Verify(ctx, ledger.Options{}); err != nil || !r.Held() {
		t.Fatalf("the ledger does not hold: %+v, %v", r.Finding, err)
	}
	return len(all)
}

// keyed fails if a key that was acknowledged is not the team's, or not in the ring.
func (h *house) keyed(t *testing.T, ctx context.Context, said []string) {
	t.Helper()
	team, err := h.identity.OwnTeam(ctx, id.From(ctx).Person)
	if err != nil {
		t.Fatal(err)
	}
	roster, err := h.identity.Roster(ctx)
	if err != nil {
		t.Fatal(err)
	}
	now, _ := roster.Team(string(team))
	for _, line := range said {
		var epoch uint64
		if n, _ := fmt.Sscanf(line, "key %d", &epoch); n == 1 && epoch > now.Epoch {
			t.Fatalf("key %d was acknowledged, and the team is at %d", epoch, now.Epoch)
		}
	}
	for epoch := uint64(1); epoch <= now.Epoch; epoch++ {
		if _, err := h.identity.TeamKey(ctx, team, epoch); err != nil {
			t.Fatalf("key %d of %d: %v", epoch, now.Epoch, err)
		}
	}
}

// madeHouse is a made-up house with the owner's code in a file beside it.
func madeHouse(t *testing.T, dir string, patients int) (codeFile string, code seal.Code) {
	t.Helper()
	codes, err := makeDemo(t.Context(), dir, "http://localhost:8470", madeUp{Seed: 11, Patients: patients, Day: today()}, slog.New(slog.DiscardHandler), func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	codeFile = filepath.Join(t.TempDir(), "owner-1")
	if err := os.WriteFile(codeFile, []byte(codes["owner-1"].Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	return codeFile, codes["owner-1"]
}

func TestKilledWhileNotesAreWritten(t *testing.T) { killedAtWork(t, "write") }

func TestKilledWhileKeysChange(t *testing.T) { killedAtWork(t, "rekey") }

func killedAtWork(t *testing.T, what string) {
	dir := filepath.Join(t.TempDir(), "house")
	codeFile, code := madeHouse(t, dir, 8)
	points := killPoints()
	var said []string
	begun := 0
	for point := range points {
		moment := func() { time.Sleep(time.Duration(point) * 120 * time.Millisecond / time.Duration(points)) }
		lines := murdered(t, moment, "victim", what, dir, codeFile)
		if len(lines) > 0 {
			begun++
		}
		said = append(said, lines...)
		h, ctx := survivor(t, dir, code)
		h.whole(t, ctx, said)
		h.keyed(t, ctx, said)
		for _, p := range said[max(0, len(said)-1):] { // and whoever comes next goes on
			if word := strings.Fields(p); word[0] == "note" {
				if _, err := h.writeNote(ctx, id.Patient(word[1]), 100); err != nil {
					t.Fatalf("point %d: writing does not go on: %v", point, err)
				}
			}
		}
		if err := h.close(); err != nil {
			t.Fatal(err)
		}
	}
	if begun == 0 {
		t.Fatal("no kill came in the middle: this tried nothing")
	}
	t.Logf("%d kills, %d in the middle, %d acknowledged", points, begun, len(said))
}

func TestKilledWhileImporting(t *testing.T) {
	const patients = 300
	first := filepath.Join(t.TempDir(), "first")
	codeFile, code := madeHouse(t, first, 3)
	from := filepath.Join(t.TempDir(), "bundles")
	if err := writeBundles(from, patients); err != nil {
		t.Fatal(err)
	}
	points, partly := killPoints(), 0
	for point := range points {
		dir := filepath.Join(t.TempDir(), "house")
		if err := copyTree(first, dir); err != nil {
			t.Fatal(err)
		}
		moment := func() { // so many patients are here
			eventually(func() bool { n, err := countPatients(dir); return err == nil && n-3 >= point*patients/points })
		}
		murdered(t, moment, "quietroom", "import", "fhir", from, "--dir", dir, "--unlock", codeFile)
		h, ctx := survivor(t, dir, code)
		here := h.whole(t, ctx, nil) - 3
		if here > 0 && here < patients {
			partly++
		}
		team, err := h.identity.OwnTeam(ctx, id.From(ctx).Person)
		if err != nil {
			t.Fatal(err)
		}
		r, err := h.exchange.Import(ctx, []string{from}, exchange.Options{Care: []id.Team{team}})
		if err != nil || r.New != patients-here || r.Unchanged != here || r.Bad != 0 {
			t.Fatalf("point %d: %d patients were here; the import after it: %d new, %d changed, %d as they were, %d bad, %v", point, here, r.New, r.Changed, r.Unchanged, r.Bad, err)
		}
		if err := h.close(); err != nil {
			t.Fatal(err)
		}
	}
	if partly == 0 && !testing.Short() {
		t.Fatal("no kill came in the middle: this tried nothing")
	}
	t.Logf("%d kills, %d in the middle", points, partly)
}
