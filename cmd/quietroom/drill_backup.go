package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/backup"
	"quietroom/rooms/backup/restic"
	"quietroom/rooms/vault"
)

// backups is a trial house with two folders for its backups, whose own clockwork
// is stopped: what happens, happens when the drill says so.
type backups struct {
	*trial
	stage  *layer.Stage
	report layer.Report
	places []string // the two folders
	sheet  backup.Sheet
	done   int
	total  int
}

// backupDrill runs a drill of backups; without restic it is skipped.
func (t *trial) backupDrill(name, proves string, total int, run func(context.Context, *backups) error) layer.Drill {
	return layer.Drill{Name: name, Proves: proves, Run: func(ctx context.Context, s *layer.Stage) (layer.Report, error) {
		d := &backups{trial: t, stage: s, report: layer.Report{Findings: []string{}, More: map[string]any{}}, total: total}
		if _, err := (restic.Restic{}).Version(ctx); errors.Is(err, restic.ErrMissing) || errors.Is(err, restic.ErrOld) {
			d.report.Skipped = err.Error()
			return d.report, nil
		} else if err != nil {
			return d.report, err
		}
		t.stop()
		<-t.ended
		if err := d.settle(ctx); err != nil {
			return d.report, err
		}
		if err := run(ctx, d); err != nil {
			return d.report, err
		}
		d.report.Held = new(len(d.report.Findings) == 0)
		return d.report, nil
	}}
}

func (d *backups) fails(format string, a ...any) {
	d.report.Findings = append(d.report.Findings, fmt.Sprintf(format, a...))
}

func (d *backups) step() {
	d.done++
	if d.stage.Step != nil {
		d.stage.Step(min(d.done, d.total), d.total)
	}
}

// number gives the waiting facts their numbers, as the stopped clockwork would.
func (d *backups) number(ctx context.Context) error {
	for {
		n, err := d.ledger.Sequence(ctx)
		if n == 0 || err != nil {
			return err
		}
	}
}

// settle finds two places for the backups, beside the house.
func (d *backups) settle(ctx context.Context) error {
	for i, name := range []string{"One", "Two"} {
		place := filepath.Join(d.above, "place-"+strings.ToLower(name))
		if _, _, err := d.backup.AddTarget(ctx, backup.Target{Kind: backup.Folder, Place: place, Name: name, Outside: i == 1}); err != nil {
			return err
		}
		d.places = append(d.places, place)
		d.step()
	}
	var err error
	d.sheet, err = d.backup.Sheet(ctx)
	return err
}

func (d *backups) save(ctx context.Context) error {
	if err := d.number(ctx); err != nil {
		return err
	}
	outcomes, err := d.backup.Run(ctx, nil)
	d.step()
	for _, o := range outcomes {
		if o.Failed != "" {
			return fmt.Errorf("back up to %s: %s", o.Name, o.Failed)
		}
	}
	return err
}

// back brings the house back into a new folder, at a time or as it was last.
func (d *backups) back(ctx context.Context, dir string, at time.Time) (backup.Report, error) {
	return bringBack(ctx, backup.Order{Sheet: d.sheet, Dir: dir, At: at, Free: freeSpace}, "house.db")
}

// reads opens the charts of some patients in a house, with the owner's own code,
// and gives how many opened and whose did not.
func (d *backups) reads(ctx context.Context, dir string, patients []id.Patient) (opened int, closed []id.Patient, err error) {
	h, err := openHouse(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	code, err := seal.ParseCode(seal.Personal, d.Codes["owner-1"])
	if err != nil {
		return 0, nil, err
	}
	ctx, done, err := h.identity.Enter(ctx, code)
	if err != nil {
		return 0, nil, err
	}
	defer done()
	for _, p := range patients {
		if h.readsAll(ctx, p) == nil {
			opened++
		} else {
			closed = append(closed, p)
		}
	}
	return opened, closed, nil
}

// readsAll reads a patient's card and every record of the chart.
func (h *house) readsAll(ctx context.Context, p id.Patient) error {
	for _, part := range []string{vault.Identity, vault.Chart} {
		c, err := h.vault.Open(ctx, p, part)
		if err != nil {
			return err
		}
		defer c.Close()
		list, err := c.List(ctx)
		if err != nil {
			return err
		}
		for _, e := range list {
			_, r, err := c.Stream(ctx, e.Record)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, r)
			if err = errors.Join(err, r.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *backups) patients(ctx context.Context, most int) (list []id.Patient, err error) {
	for p, err := range d.vault.Patients(ctx) {
		if err != nil {
			return nil, err
		}
		if list = append(list, p); len(list) == most {
			break
		}
	}
	return list, nil
}

// keepPlaces and putBack copy both places aside, and put them back.
func (d *backups) keepPlaces(as string) error {
	for _, p := range d.places {
		if err := copyTree(p, p+"."+as); err != nil {
			return err
		}
	}
	return nil
}

func (d *backups) putBack(from string) error {
	for _, p := range d.places {
		if err := errors.Join(os.RemoveAll(p), copyTree(p+"."+from, p)); err != nil {
			return err
		}
	}
	return nil
}

// restoreDrill brings the newest backup back into an empty house and opens it
// with its own people's keys; then it breaks backups in nine ways, each of which
// has to be caught.
func (t *trial) restoreDrill() layer.Drill {
	return t.backupDrill("restore", proves("restore"), 16, func(ctx context.Context, d *backups) error {
		if err := d.backup.SetSchedule(ctx, 60, "every hour for two days, every day for five weeks"); err != nil {
			return err
		}
		if err := d.save(ctx); err != nil {
			return err
		}
		if d.stage.Sabotage {
			d.backup.Weaken()
		}
		p, err := d.backup.Prove(ctx, nil)
		d.step()
		if err != nil {
			return err
		}
		if !p.Held {
			d.fails("The newest backup does not hold: %s", p.Findings[0])
		}
		patients, err := d.patients(ctx, 1<<30)
		if err != nil {
			return err
		}
		began := time.Now()
		dir := filepath.Join(d.above, "back")
		r, err := d.back(ctx, dir, time.Time{})
		if err != nil {
			return err
		}
		d.report.More["restore_ms"] = time.Since(began).Milliseconds()
		opened, _, err := d.reads(ctx, dir, patients)
		if err != nil {
			return err
		}
		d.report.Tried, d.report.Opened = len(patients), opened
		if opened != len(patients) || len(r.Findings) > 0 {
			d.fails("The house came back, and %d of %d patients' charts opened with their people's keys.", opened, len(patients))
		}
		d.step()
		return d.breakAll(ctx)
	})
}

// caught tells whether a proof has a finding with some words.
func (d *backups) caught(ctx context.Context, words string) (bool, error) {
	p, err := d.backup.Prove(ctx, nil)
	d.step()
	return slices.ContainsFunc(p.Findings, func(f string) bool { return strings.Contains(f, words) }) && !p.Held, err
}

// breakAll breaks backups one way after another.
func (d *backups) breakAll(ctx context.Context) error {
	if err := d.keepPlaces("good"); err != nil {
		return err
	}
	later := func(by time.Duration) { d.house.late.Add(int64(by)) }
	packs := func(change func(string) error) func() error {
		return func() error {
			for _, p := range d.places {
				if err := change(largest(filepath.Join(p, "records", "data"))); err != nil {
					return err
				}
			}
			return nil
		}
	}
	breaks := []struct {
		what, words string
		do          func() error
		undo        func() error
	}{
		{"an old newest backup", "one is due", func() error { later(5 * time.Hour); return nil }, func() error { later(-5 * time.Hour); return nil }},
		{"a flipped byte", "did not come back", packs(flip), nil},
		{"a missing pack", "did not come back", packs(os.Remove), nil},
		{"a clock that was set back", "in the future", func() error { later(-3 * time.Hour); return nil }, func() error { later(3 * time.Hour); return nil }},
		{"a half-uploaded snapshot", "half there", func() error { return d.halve(ctx) }, nil},
		{"a place that answers and has lost data", "has lost", func() error { return errors.Join(d.save(ctx), d.putBack("good")) }, nil},
		{"a missing key", "without their key", func() error { return d.loseKey(ctx) }, nil},
	}
	n := 0
	for _, b := range breaks {
		if err := b.do(); err != nil {
			return fmt.Errorf("%s: %w", b.what, err)
		}
		ok, err := d.caught(ctx, b.words)
		if err != nil {
			return fmt.Errorf("%s: %w", b.what, err)
		}
		if !ok {
			d.fails("%s was not caught.", capital(b.what))
		} else {
			n++
		}
		if b.undo != nil {
			if err := b.undo(); err != nil {
				return err
			}
		}
		if err := d.putBack("good"); err != nil {
			return err
		}
		if b.what == "a missing key" {
			break
		}
	}
	return d.breakPlaces(ctx, n)
}

// breakPlaces tries a dead place and a wrong sheet.
func (d *backups) breakPlaces(ctx context.Context, n int) error {
	if err := os.Rename(d.places[0], d.places[0]+".gone"); err != nil {
		return err
	}
	p, err := d.backup.Prove(ctx, nil)
	d.step()
	if err != nil {
		return err
	}
	if p.Target == "Two" && len(p.Skipped) == 1 && strings.HasPrefix(p.Skipped[0], "One:") {
		n++
	} else {
		d.fails("A dead place was not passed over and named.")
	}
	wrong := d.sheet
	wrong.Password = backup.PasswordOf(seal.NewKey())
	_, err = bringBack(ctx, backup.Order{Sheet: wrong, Dir: filepath.Join(d.above, "wrong"), Free: freeSpace}, "house.db")
	if errors.Is(err, restic.ErrPassword) {
		n++
	} else {
		d.fails("A wrong sheet was not refused for its password.")
	}
	d.report.More["caught"] = n
	return nil
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// halve saves once more and takes the keys of that away: as if the upload had
// ended before them.
func (d *backups) halve(ctx context.Context) error {
	before := map[string]bool{}
	for _, p := range d.places {
		for _, f := range filesIn(filepath.Join(p, "wraps", "snapshots")) {
			before[f] = true
		}
	}
	if err := d.save(ctx); err != nil {
		return err
	}
	for _, p := range d.places {
		for _, f := range filesIn(filepath.Join(p, "wraps", "snapshots")) {
			if !before[f] {
				if err := os.Remove(f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// loseKey takes a patient's keys out of the live table, as a bad day might, and
// backs that up.
func (d *backups) loseKey(ctx context.Context) error {
	list, err := d.patients(ctx, 1)
	if err != nil {
		return err
	}
	err = d.house.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM vault_wraps WHERE patient = $1`, list[0])
		return err
	})
	return errors.Join(err, d.save(ctx))
}

func filesIn(dir string) (files []string) {
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return nil
	})
	return files
}

func largest(dir string) (name string) {
	most := int64(-1)
	for _, f := range filesIn(dir) {
		if info, err := os.Stat(f); err == nil && info.Size() > most {
			name, most = f, info.Size()
		}
	}
	return name
}

// flip turns one byte in the middle of a file.
func flip(file string) error {
	if err := os.Chmod(file, 0o600); err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text[len(text)/2] ^= 1
	return os.WriteFile(file, text, 0o600)
}

// ransomDrill encrypts every file of the house with a key that nobody has, and
// brings it back from the places and the sheet.
func (t *trial) ransomDrill() layer.Drill {
	return t.backupDrill("house-ransom", proves("house-ransom"), 6, func(ctx context.Context, d *backups) (err error) {
		if d.stage.Sabotage { // the backups lie where the house lies
			for i, p := range d.places {
				inside := filepath.Join(d.Trial.Dir, filepath.Base(p))
				if err := os.Rename(p, inside); err != nil {
					return err
				}
				if err := os.Symlink(inside, p); err != nil {
					return err
				}
				d.places[i] = inside
			}
		}
		if err := d.save(ctx); err != nil {
			return err
		}
		patients, err := d.patients(ctx, 1<<30)
		if err != nil {
			return err
		}
		if err := d.house.close(); err != nil {
			return err
		}
		key := seal.NewKey()
		for _, f := range filesIn(d.Trial.Dir) {
			text, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			if err := os.WriteFile(f+".locked", key.Seal(text, seal.Slot{Kind: "ransom"}), 0o600); err != nil {
				return err
			}
			if err := os.Remove(f); err != nil {
				return err
			}
		}
		key.Wipe()
		d.step()
		if _, err := openHouse(ctx, d.Trial.Dir, slog.New(slog.DiscardHandler)); err == nil {
			return errors.New("the locked house opens: nothing was shown")
		}
		began := time.Now()
		back := filepath.Join(d.above, "back")
		d.report.Tried = len(patients)
		r, err := d.back(ctx, back, time.Time{})
		if err != nil {
			d.fails("The house did not come back.")
		} else {
			d.report.More["restore_ms"] = time.Since(began).Milliseconds()
			opened, _, err := d.reads(ctx, back, patients)
			if err != nil {
				return err
			}
			if d.report.Opened = opened; opened != len(patients) || len(r.Findings) > 0 {
				d.fails("The house came back, and %d of %d patients' charts opened.", opened, len(patients))
			}
		}
		d.step()
		// The trial ends with a house that can be closed.
		if err == nil {
			d.trial.house, err = openHouse(ctx, back, slog.New(slog.DiscardHandler))
			return err
		}
		d.trial.house = &house{settings: d.trial.house.settings}
		return nil
	})
}

// shredDrill erases a patient and looks for that patient's keys in every backup
// there is: brought back by the program, none of them opens the patient, and
// after the horizon the keys are in none, also for a thief who uses restic alone.
func (t *trial) shredDrill() layer.Drill {
	return t.backupDrill("shred", proves("shred"), 30, func(ctx context.Context, d *backups) error {
		list, err := d.patients(ctx, 2)
		if err != nil {
			return err
		}
		gone, stays := list[0], list[1]
		if err := d.save(ctx); err != nil {
			return err
		}
		if _, err := d.backup.Expire(ctx); err != nil {
			return err
		}
		if n := d.keysInPlaces(ctx, gone); n == 0 {
			return errors.New("the patient's keys are in no backup before the erasure: nothing would be shown")
		}
		d.later(day)
		ctx2, done, err := d.enter(ctx, d.Codes["owner-1"])
		if err != nil {
			return err
		}
		err = d.house.db.Update(ctx2, func(tx *store.Tx) error { return d.vault.Erase(ctx2, tx, gone) })
		err = errors.Join(err, d.vault.Tidy(ctx2))
		done()
		if err != nil {
			return err
		}
		if err := d.save(ctx); err != nil {
			return err
		}
		if err := d.everyState(ctx, gone, stays); err != nil {
			return err
		}
		if err := d.pastHorizon(ctx); err != nil {
			return err
		}
		if n := d.keysInPlaces(ctx, gone); n > 0 {
			d.fails("After the horizon the erased patient's keys are in %d backups.", n)
		}
		if n := d.keysInPlaces(ctx, stays); n == 0 {
			d.fails("The control patient's keys are in no backup.")
		}
		return d.unreachable(ctx)
	})
}

const day = 24 * time.Hour

func (d *backups) later(by time.Duration) { d.house.late.Add(int64(by)) }

// everyState brings each retained state back, with the owner's live keys.
func (d *backups) everyState(ctx context.Context, gone, stays id.Patient) error {
	states, _, err := backup.States(ctx, backup.Order{Sheet: d.sheet, Dir: filepath.Join(d.above, "state")})
	if err != nil {
		return err
	}
	for i, s := range states {
		if !s.Whole {
			continue
		}
		dir := filepath.Join(d.above, fmt.Sprint("state-", i))
		order := backup.Order{Sheet: d.sheet, Dir: dir, At: s.At, Free: freeSpace, Forgetful: d.stage.Sabotage}
		if _, err := bringBack(ctx, order, "house.db"); err != nil {
			return err
		}
		_, closed, err := d.reads(ctx, dir, []id.Patient{gone, stays})
		if err != nil {
			return err
		}
		d.report.Tried++
		if !slices.Contains(closed, gone) {
			d.report.Opened++
			d.fails("An erased patient opens in the backup of %s.", s.At.UTC().Format("2 January"))
		}
		if slices.Contains(closed, stays) {
			d.fails("The control patient does not open in the backup of %s.", s.At.UTC().Format("2 January"))
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		d.step()
	}
	return nil
}

// pastHorizon lets 36 days pass: a long pause, as of a clock that jumped, then
// day after day.
func (d *backups) pastHorizon(ctx context.Context) error {
	d.later(26 * day)
	for range 9 {
		d.later(day)
		if err := d.save(ctx); err != nil {
			return err
		}
		if _, err := d.backup.Expire(ctx); err != nil {
			return err
		}
		d.step()
	}
	return nil
}

// keysInPlaces counts the copies of keys, at both places, that name a patient:
// what somebody finds who has restic and the sheet, and no use for our program.
func (d *backups) keysInPlaces(ctx context.Context, p id.Patient) (found int) {
	r := restic.Restic{}
	for _, place := range d.places {
		repo := restic.Repo{URL: filepath.Join(place, "wraps"), Password: d.sheet.Password}
		list, err := r.Snapshots(ctx, repo)
		if err != nil {
			d.fails("A place could not be read: %v.", err)
		}
		for _, s := range list {
			var text bytes.Buffer
			if err := r.Dump(ctx, repo, s.ID, "saved/wraps.sql", &text); err != nil {
				d.fails("A copy of keys could not be read: %v.", err)
			}
			if bytes.Contains(text.Bytes(), []byte(`INSERT INTO "vault_wraps" VALUES('`+string(p))) {
				found++
			}
		}
	}
	return found
}

// unreachable takes a place away: expiry has to name it.
func (d *backups) unreachable(ctx context.Context) error {
	if err := os.Rename(d.places[1], d.places[1]+".gone"); err != nil {
		return err
	}
	d.later(day)
	e, err := d.backup.Expire(ctx)
	d.step()
	if err == nil && !slices.Equal(e.Unreachable, []string{"Two"}) {
		d.fails("A place that was not reachable is not named.")
	}
	return err
}
