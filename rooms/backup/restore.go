package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/rooms/backup/restic"
)

// Order says what to bring back, and where to.
type Order struct {
	Sheet  Sheet
	Dir    string    // the house comes to stand here; it must be empty, or not there
	At     time.Time // the newest state not after it; zero: the newest of all
	Restic string    // the program
	Free   func(string) (int64, error)
	Step   func(what string)
	// Forgetful leaves the erased in: a drill's sabotage, refused in a real house.
	Forgetful bool
	// Secret reads the house's secret from what came back.
	Secret func(dir string) (seal.Key, error)
	// Check makes a house of what came back, with the erased left out, and looks at it.
	Check func(ctx context.Context, dir string, m Manifest, erased []id.Patient, look func(*store.DB) error) (Checked, error)
}

// Report says what came back.
type Report struct {
	Saved     time.Time     `json:"saved"` // when the state was saved
	Pair      string        `json:"pair"`
	From      string        `json:"from"` // where its records came from
	KeysFrom  string        `json:"keys_from"`
	Facts     int64         `json:"facts"`
	Checked   Checked       `json:"checked"`
	Drill     int           `json:"drill"`
	Bytes     int64         `json:"bytes"`
	Files     int           `json:"files"`
	Erased    int           `json:"erased"`            // patients on the lists of the erased
	Folders   int           `json:"folders,omitempty"` // sealed files of devices' folders
	Silent    []string      `json:"silent,omitempty"`
	PassedBy  []string      `json:"passed_by,omitempty"` // newer states that did not come back, and why
	Findings  []string      `json:"findings,omitempty"`
	Took      time.Duration `json:"took"`
	Practice  string        `json:"practice"`
	Moved     bool          `json:"moved"` // the house stands
	Tombstone []id.Patient  `json:"-"`
}

// ErrLiving means that a house stands where one was to be brought back.
var ErrLiving = errors.New("backup: a house stands here already; nothing was changed")

// State is one point in time that can be brought back.
type State struct {
	At     time.Time `json:"at"`
	Facts  int64     `json:"facts"`
	Pair   string    `json:"pair"`
	Places []string  `json:"places"` // where its records lie
	Whole  bool      `json:"whole"`  // its keys lie somewhere too
}

// States lists the points in time at the places of a sheet, the newest first,
// and which places did not answer.
func States(ctx context.Context, o Order) (list []State, silent []string, err error) {
	l, err := lookAround(ctx, o.engine(), o.Sheet.Password, o.Sheet.Targets)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range l.states {
		st := State{At: s.at, Facts: s.facts, Pair: s.pair, Whole: s.whole()}
		for _, w := range s.records {
			st.Places = append(st.Places, w.target.Name)
		}
		slices.Sort(st.Places)
		list = append(list, st)
	}
	for n, err := range l.silent {
		silent = append(silent, n+": "+plain(err))
	}
	slices.Sort(silent)
	return list, silent, nil
}

func (o Order) engine() engineOf {
	return func(t Target) restic.Restic {
		return restic.Restic{Program: o.Restic, Dir: filepath.Join(o.coming(), "..", "."+filepath.Base(o.Dir)+".restic")}
	}
}

// coming is where the house lies until it is whole: beside its place, on the
// same disk, so that it comes to stand in one rename.
func (o Order) coming() string {
	return filepath.Join(filepath.Dir(o.Dir), "."+filepath.Base(o.Dir)+".coming")
}

// BringBack brings the newest whole state of all places back. A half that is
// damaged at one place is taken from another; if a state comes back nowhere, the
// one before it does, and the report says so. The lists of the erased of all
// places are applied before anybody can open the house. Killed on the way it
// leaves nothing where the house is to stand, and can be begun again.
func BringBack(ctx context.Context, o Order) (r Report, err error) {
	began := time.Now()
	if o.Step == nil {
		o.Step = func(string) {}
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return r, err
	}
	if err := empty(o.Dir); err != nil {
		return r, err
	}
	engine := o.engine()
	defer os.RemoveAll(engine(Target{}).Dir)
	if _, err := engine(Target{}).Version(ctx); err != nil {
		return r, err
	}
	o.Step("Looking at the places")
	l, err := lookAround(ctx, engine, o.Sheet.Password, o.Sheet.Targets)
	if err != nil {
		return r, err
	}
	for n, err := range l.silent {
		r.Silent = append(r.Silent, n+": "+plain(err))
	}
	slices.Sort(r.Silent)
	if len(l.states) == 0 {
		return r, noStates(l)
	}
	// The lists of the erased are read meanwhile; both only read the places.
	var lists map[string][]byte
	read := make(chan struct{})
	reading, stop := context.WithCancel(ctx)
	go func() {
		defer close(read)
		lists = tombstonesAround(reading, engine, o.Sheet.Password, o.Sheet.Targets)
	}()
	defer func() { stop(); <-read }()
	coming := o.coming()
	var f fetched
	found := false
	for _, s := range l.states {
		if !o.At.IsZero() && s.at.After(o.At) {
			continue
		}
		if !s.whole() {
			r.PassedBy = append(r.PassedBy, fmt.Sprintf("%s: only half of it lies anywhere", s.at.UTC().Format("2 January 15:04")))
			continue
		}
		var tried []string
		f, tried, err = fetch(ctx, engine, o.Sheet.Password, s, coming, func(from string) { o.Step("Bringing back from " + from) })
		r.PassedBy = append(r.PassedBy, tried...)
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if errors.Is(err, store.ErrFull) || errors.Is(err, fs.ErrPermission) {
			return r, err
		}
		if err == nil {
			r.Saved, r.Pair, r.Facts, found = s.at, s.pair, s.facts, true
			break
		}
	}
	if !found {
		return r, fmt.Errorf("no whole state came back: %s", strings.Join(append(r.PassedBy, r.Silent...), "; "))
	}
	if len(o.Sheet.Root) > 0 && !slices.Equal(o.Sheet.Root, f.Root) {
		return r, errors.Join(errors.New("the state at this place belongs to another practice than the sheet: their root keys differ; nothing was changed"), os.RemoveAll(coming))
	}
	until := o.At
	if !until.IsZero() && r.Saved.After(until) {
		until = r.Saved
	}
	var lost []string
	if r.Folders, lost, err = fetchFolders(ctx, engine, o.Sheet.Password, l.folder, until, coming); err != nil {
		return r, err
	}
	r.PassedBy = append(r.PassedBy, lost...)
	r.From, r.KeysFrom, r.Practice = f.recordsFrom.Name, f.wrapsFrom.Name, f.Practice
	r.Bytes, r.Files = sizeOf(coming)
	if err := freeFor(o.Free, filepath.Dir(o.Dir), r.Bytes); err != nil {
		return r, err
	}
	secret, err := o.Secret(coming)
	if err != nil {
		return r, err
	}
	o.Step("Reading the lists of the erased")
	<-read
	erased, findings := union(secret, f.Practice, lists)
	if o.Forgetful {
		erased = nil
	}
	r.Erased, r.Findings, r.Tombstone = len(erased), findings, erased
	o.Step("Making the house, and checking it")
	r.Checked, err = o.Check(ctx, coming, f.Manifest, erased, func(db *store.DB) error {
		found, err := compareTables(ctx, db, f.Manifest)
		if len(erased) == 0 { // else rows were taken out
			r.Findings = append(r.Findings, found...)
		}
		if err != nil {
			return err
		}
		r.Drill, err = openDrill(ctx, db, secret, f.Practice)
		return err
	})
	if err != nil {
		return r, err
	}
	r.Findings = append(r.Findings, r.Checked.Findings...)
	text, err := json.MarshalIndent(r, "", "\t")
	if err == nil {
		err = writeWhole(filepath.Join(coming, stageDir, "brought-back.json"), text)
	}
	if err != nil {
		return r, err
	}
	if err := os.Remove(o.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // it is empty
		return r, fmt.Errorf("put the house in its place: %w", err)
	}
	if err := os.Rename(coming, o.Dir); err != nil {
		return r, fmt.Errorf("put the house in its place: %w", err)
	}
	r.Took, r.Moved = time.Since(began), true
	return r, syncDir(filepath.Dir(o.Dir))
}

// empty refuses a folder with anything in it.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(filepath.Dir(dir), 0o700)
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s: %w", dir, ErrLiving)
	}
	return nil
}

func noStates(l look) error {
	for _, err := range l.silent {
		if errors.Is(err, restic.ErrPassword) {
			return &web.Error{Status: http.StatusUnprocessableEntity, Text: "The password does not open the backup at this place.", Fix: "Compare it with the sheet, group by group. It may be the sheet of another practice.", Err: err}
		}
	}
	if len(l.silent) > 0 {
		return &web.Error{Status: http.StatusBadGateway, Text: "No backup was found: " + names(l.silent) + ".", Fix: "Is the place plugged in, and the address right?"}
	}
	return &web.Error{Status: http.StatusNotFound, Text: "Nothing was ever saved at this place.", Fix: "Is it the right folder?"}
}

// union joins the lists of the erased of all places.
func union(secret seal.Key, practice string, lists map[string][]byte) (erased []id.Patient, findings []string) {
	for from, text := range lists {
		one, err := ReadTombstones(secret, practice, text)
		if err != nil {
			findings = append(findings, "The list of the erased at "+from+" was not written by this house. It was left out.")
			continue
		}
		erased = append(erased, one...)
	}
	slices.Sort(erased)
	slices.Sort(findings)
	return slices.Compact(erased), findings
}
