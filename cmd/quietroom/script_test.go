package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/madeup"
	"quietroom/rooms/identity"
)

// TestMain lets this binary be quietroom itself, for scripts and for tests that
// kill it; victim is what those kill.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"quietroom": main, "victim": victim})
}

type tests struct{ *testing.M }

func (t tests) Run() int {
	defer closeBench()
	return t.M.Run()
}

// The scripts are also the manual's examples. What their own words do stands in
// scriptWords.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(12 * time.Minute), // what hangs, fails
		Cmds:                scriptWords,
		Condition:           scriptCondition,
		Setup: func(e *testscript.Env) error {
			e.Setenv("BUNDLES", sampleBundles())
			return nil
		},
	})
}

// scriptCondition knows [bundles]: the nine shared sample bundles are here.
func scriptCondition(name string) (bool, error) {
	if name != "bundles" {
		return false, fmt.Errorf("there is no condition %s", name)
	}
	if sampleBundles() == "" && os.Getenv("CI") == "1" {
		return false, errors.New("the sample bundles are not here: QUIETROOM_SHARED says where ../shared lies")
	}
	return sampleBundles() != "", nil
}

// sampleBundles is the folder of the sample bundles, or empty.
func sampleBundles() string {
	shared := os.Getenv("QUIETROOM_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	dir, err := filepath.Abs(filepath.Join(shared, "data", "fhir-r4-synthea"))
	if err != nil {
		return ""
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*.json")); len(found) == 0 {
		return ""
	}
	return dir
}

// scriptWords are the words of the scripts beside those of testscript.
var scriptWords = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// exits CODE COMMAND...: the command ends with this very code.
	"exits": func(ts *testscript.TestScript, _ bool, args []string) {
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		got := 0
		if err := ts.Exec(args[1], args[2:]...); err != nil {
			e, ok := errors.AsType[*exec.ExitError](err)
			if !ok {
				ts.Fatalf("%v", err)
			}
			got = e.ExitCode()
		}
		if got != want {
			ts.Fatalf("it ended with %d, want %d", got, want)
		}
	},
	// house DIR CODES PATIENTS: a made-up house, without drills.
	"house": func(ts *testscript.TestScript, _ bool, args []string) {
		patients, err := strconv.Atoi(args[2])
		ts.Check(err)
		dir := ts.MkAbs(args[0])
		codes, err := makeDemo(context.Background(), dir, "http://localhost:8470", madeUp{Seed: 5, Patients: patients, Day: today()}, slog.New(slog.DiscardHandler), func(int, int) {})
		ts.Check(err)
		ts.Check(writeCodes(dir, ts.MkAbs(args[1]), codes))
	},
	// practice DIR CODES: a real house with an owner who takes in patients, two codes and a kit.
	"practice": func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(foundPractice(ts.MkAbs(args[0]), ts.MkAbs(args[1])))
	},
	// bundles DIR N: a folder of made-up patients as FHIR.
	"bundles": func(ts *testscript.TestScript, _ bool, args []string) {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		ts.Check(writeBundles(ts.MkAbs(args[0]), n))
	},
	// says PATTERN: standard error is one line, and fits.
	"says": func(ts *testscript.TestScript, _ bool, args []string) {
		said := ts.ReadFile("stderr")
		if fits, err := regexp.MatchString(args[0], said); err != nil || !fits || strings.Count(said, "\n") != 1 {
			ts.Fatalf("standard error is not one line that fits %s: %v", args[0], err)
		}
	},
	// json FILE: one JSON document and nothing else.
	"json": func(ts *testscript.TestScript, _ bool, args []string) {
		d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
		var one any
		ts.Check(d.Decode(&one))
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			ts.Fatalf("something stands after the JSON document")
		}
	},
	// tree DIR FILE: writes names and contents of a folder, to be compared.
	"tree": func(ts *testscript.TestScript, _ bool, args []string) {
		text, err := treeOf(ts.MkAbs(args[0]))
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o600))
	},
	// sql DIR STATEMENT: what somebody with the database in hand does.
	"sql": func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(editDatabase(ts.MkAbs(args[0]), args[1]))
	},
	// served DIR: waits until the house answers.
	"served": func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(eventually(func() bool {
			conn, err := net.Dial("unix", controlPath(ts.MkAbs(args[0])))
			if err == nil {
				conn.Close()
			}
			return err == nil
		}))
	},
	// holds DIR N: waits until the house has so many patients, or more.
	"holds": func(ts *testscript.TestScript, _ bool, args []string) {
		want, err := strconv.Atoi(args[1])
		ts.Check(err)
		ts.Check(eventually(func() bool {
			n, err := countPatients(ts.MkAbs(args[0]))
			return err == nil && n >= want
		}))
	},
	// fewer DIR N: the house has fewer patients.
	"fewer": func(ts *testscript.TestScript, _ bool, args []string) {
		n, err := countPatients(ts.MkAbs(args[0]))
		ts.Check(err)
		if fmt.Sprint(n) == args[1] || n == 0 {
			ts.Fatalf("the house has %d patients", n)
		}
	},
	// differ FILE OTHER: waits until the two files are not the same.
	"differ": func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(eventually(func() bool { return ts.ReadFile(args[0]) != ts.ReadFile(args[1]) }))
	},
	// patient DIR NAME: sets NAME to some patient's identifier.
	"patient": func(ts *testscript.TestScript, _ bool, args []string) {
		db, err := sql.Open("sqlite", filepath.Join(ts.MkAbs(args[0]), "house.db"))
		ts.Check(err)
		defer db.Close()
		var p string
		ts.Check(db.QueryRow(`SELECT patient FROM vault_patients ORDER BY patient LIMIT 1`).Scan(&p))
		ts.Setenv(args[1], p)
	},
	// graft FROM TO: the first house's anchor is put into the second.
	"graft": func(ts *testscript.TestScript, _ bool, args []string) {
		from, err := readSettings(ts.MkAbs(args[0]))
		ts.Check(err)
		to, err := readSettings(ts.MkAbs(args[1]))
		ts.Check(err)
		ts.Check(to.SetRoot(from.RootHash))
	},
}

func eventually(ok func() bool) error {
	for range 600 {
		if ok() {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("it did not come about in 30 seconds")
}

// editDatabase changes a house's database behind its back, as a thief would.
func editDatabase(dir, statement string) error {
	db, err := sql.Open("sqlite", filepath.Join(dir, "house.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	result, err := db.Exec(statement)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return fmt.Errorf("%s changed %d rows: %w", statement, n, err)
	}
	return nil
}

func countPatients(dir string) (n int, err error) {
	db, err := sql.Open("sqlite", filepath.Join(dir, "house.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return n, db.QueryRow(`SELECT count(*) FROM vault_patients`).Scan(&n)
}

// treeOf lists a folder with all that stands in it.
func treeOf(dir string) ([]byte, error) {
	var b bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s\n%x\n", rel, text)
		return err
	})
	return b.Bytes(), err
}

// writeBundles writes made-up patients of no house as FHIR, one file each.
func writeBundles(dir string, n int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	p := madeup.New(77, n, today())
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.json", i)), p.Bundle(i), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// foundPractice makes a real house: an owner, also clinician, with two codes
// (owner, spare) and a kit, which are written into a folder.
func foundPractice(dir, codesDir string) (err error) {
	if _, err := newSettings(dir, "house.db", "http://localhost:8470", nil, time.Now()); err != nil {
		return err
	}
	ctx := context.Background()
	h, err := openHouse(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	n, err := h.identity.Newcomer("Jo Berger", "jo@example.org", identity.Owner, identity.Clinician)
	if err != nil {
		return err
	}
	codes := map[string]seal.Code{"owner": seal.NewCode(seal.Personal), "spare": seal.NewCode(seal.Personal)}
	for handle, code := range codes {
		if err := h.identity.AddCode(n, code, handle); err != nil {
			return err
		}
	}
	owner, err := h.identity.Found(ctx, "Harbor Counseling", n)
	if err != nil {
		return err
	}
	defer owner.Wipe()
	codes["kit"] = seal.NewCode(seal.Kit)
	kit, err := seal.RecoveryFromCode(codes["kit"].KEK(), h.ID)
	if err != nil {
		return err
	}
	if err := h.identity.SetRecovery(ctx, owner, kit.Public()); err != nil {
		return err
	}
	if _, err := h.identity.FormOwnTeam(ctx, owner, "Dr. Berger", id.Person(n.Person)); err != nil {
		return err
	}
	return writeCodes(dir, codesDir, codes)
}
