package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/rooms/backup"
)

// An update is a disaster that one brings about oneself. A newer program whose
// tables differ never touches the only copy: it looks for space, makes a copy and
// compares it row by row, changes a second copy, tries the whole house on that,
// and only then puts it in the place of the first. Until then nothing was
// changed; if the house does not open afterwards, the copy goes back.

const updateDir = "update" // in the house's directory, while it goes on

// changeOf is what an update does to one room's tables.
type changeOf struct {
	Room string `json:"room"`
	From int    `json:"from"`
	To   int    `json:"to"`
}

// changes are what this program would change in the house's database. A house
// that is newer than the program is store.ErrNewer.
func (s *settings) changes(ctx context.Context, db *store.DB) (list []changeOf, fresh bool, err error) {
	have, err := db.Versions(ctx)
	if err != nil {
		return nil, false, err
	}
	schemas := map[string]fs.FS{"ledger": ledger.Schema()}
	plan := &house{settings: s, log: slog.New(slog.DiscardHandler), db: db, ledger: &ledger.Ledger{}}
	plan.furnish(seal.Key{}, seal.Key{}, seal.Key{}, seal.Key{}, seal.Key{})
	for _, l := range plan.layers {
		if l.Schema != nil {
			schemas[l.Name] = l.Schema
		}
	}
	for _, room := range slices.Sorted(maps.Keys(schemas)) {
		newest, err := db.Newest(schemas[room])
		if err != nil {
			return nil, false, err
		}
		if have[room] > newest {
			return nil, false, fmt.Errorf("%s is at version %d and this program knows %d: %w", room, have[room], newest, store.ErrNewer)
		}
		if have[room] < newest {
			list = append(list, changeOf{room, have[room], newest})
		}
	}
	return list, len(have) == 0, nil
}

// migrate brings all rooms' tables up to date, where they lie.
func (h *house) migrate(ctx context.Context) error {
	for _, l := range h.layers {
		if l.Schema == nil {
			continue
		}
		if err := h.db.Migrate(ctx, l.Name, l.Schema); err != nil {
			return err
		}
	}
	return nil
}

// updated is what an update did, or would do.
type updated struct {
	Changes  []changeOf `json:"changes"`
	NeedMB   int64      `json:"need_mb"`
	FreeMB   int64      `json:"free_mb,omitempty"`
	Saved    []string   `json:"saved,omitempty"` // places that took a backup before it
	Compared int        `json:"compared"`        // rows of the copy that are those of the house
	Tried    *trying    `json:"tried,omitempty"` // the changed copy
	TookMS   int64      `json:"took_ms"`
}

// trying is what the house showed on the changed copy.
type trying struct {
	Facts    int64    `json:"facts"`
	Patients int      `json:"patients"`
	Records  int      `json:"records"`
	Findings []string `json:"findings"`
}

// errUpdate means that an update did not go through, and that nothing was changed.
var errUpdate = errors.New("the update did not go through; the house is as it was, and the program of before serves it")

// update prepares one in a folder of the house, and returns the file that is to come in
// the database's place; empty on PostgreSQL, where the copy was a schema of its own.
func (s *settings) update(ctx context.Context, db *store.DB, in string, r *updated) (ready string, err error) {
	began := time.Now()
	defer func() { r.TookMS = time.Since(began).Milliseconds() }()
	if db.Kind() == store.Postgres {
		return "", s.tryOnPostgres(ctx, db, in, r)
	}
	dir := filepath.Join(s.dir, in)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := s.roomForUpdate(r); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	ready = filepath.Join(dir, "house.db")
	if err := db.CopyTo(ctx, ready); err != nil {
		return "", err
	}
	before, err := db.Snapshot(ctx)
	if err != nil {
		return "", err
	}
	rows, err := s.compareCopy(ctx, before, ready)
	if err := errors.Join(err, before.Close()); err != nil {
		return "", err
	}
	for _, n := range rows {
		r.Compared += n
	}
	r.Tried, err = s.tryOn(ctx, filepath.Join(in, "house.db"), rows)
	if err != nil {
		return "", err
	}
	return ready, nil
}

// roomForUpdate asks for the space of two more copies of the database.
func (s *settings) roomForUpdate(r *updated) error {
	var size int64
	for _, name := range []string{s.database(), s.database() + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			size += info.Size()
		}
	}
	r.NeedMB = (2*size)>>20 + 64
	free, err := freeSpace(s.dir)
	if err != nil {
		return nil // not known here; a full disk ends the copy, and nothing was changed
	}
	if r.FreeMB = free >> 20; r.FreeMB < r.NeedMB {
		return fmt.Errorf("%d MB are free in %s and an update needs %d MB: %w", r.FreeMB, s.dir, r.NeedMB, store.ErrFull)
	}
	return nil
}

// compareCopy compares a copy with the house, row by row.
func (s *settings) compareCopy(ctx context.Context, before *store.Snapshot, file string) (rows map[string]int, err error) {
	copied, err := store.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	after, err := copied.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer after.Close()
	tables, err := before.Tables(ctx)
	if err != nil {
		return nil, err
	}
	rows = map[string]int{}
	for _, t := range tables {
		was, is := sha256.New(), sha256.New()
		n, err := before.Write(ctx, was, t)
		if err != nil {
			return nil, err
		}
		if _, err := after.Write(ctx, is, t); err != nil {
			return nil, err
		}
		if string(was.Sum(nil)) != string(is.Sum(nil)) {
			return nil, fmt.Errorf("the table %s was not copied as it is; the disk may be failing", t.Name)
		}
		rows[t.Name] = n
	}
	return rows, nil
}

// tryOn brings a copy of the database up to date and opens the house on it.
func (s *settings) tryOn(ctx context.Context, database string, before map[string]int) (t *trying, err error) {
	copied, err := readSettings(s.dir)
	if err != nil {
		return nil, err
	}
	copied.Database = database
	h := &house{settings: copied, log: slog.New(slog.DiscardHandler), inPlace: true}
	defer func() {
		h.held = nil
		err = errors.Join(err, h.close())
	}()
	if err := h.open(ctx); err != nil {
		return nil, err
	}
	if err := h.migrate(ctx); err != nil {
		return nil, err
	}
	if t, err = h.smoke(ctx, before); err != nil {
		return t, err
	}
	return t, h.db.Scrub(ctx) // all of it lies in the one file
}

// smoke looks at a house that was just brought up to date, without a key: are all
// rows there, does the ledger hold, are the records those that were written, does
// every record have its key, is the list of people the signed one, and does every
// room answer.
func (h *house) smoke(ctx context.Context, before map[string]int) (*trying, error) {
	t := &trying{Findings: []string{}}
	find := func(format string, a ...any) { t.Findings = append(t.Findings, fmt.Sprintf(format, a...)) }
	snap, err := h.db.Snapshot(ctx)
	if err != nil {
		return t, err
	}
	defer snap.Close()
	for name, n := range before {
		var now int
		if err := snap.QueryRowContext(ctx, `SELECT count(*) FROM `+quote(name)).Scan(&now); err != nil || now < n {
			find("the table %s had %d rows and has %d", name, n, now)
		}
	}
	report, err := h.ledger.Verify(ctx, ledger.Options{})
	if err != nil {
		return t, err
	}
	if t.Facts = report.Facts; !report.Held() {
		find("the ledger does not hold: %s", report.Finding.Text)
	}
	records, err := h.vault.Verify(ctx, func(int, int) {})
	if err != nil {
		return t, err
	}
	if t.Patients, t.Records = records.Patients, records.Records; records.Finding != "" {
		find("%s", records.Finding)
	}
	if n, err := h.vault.MissingKeys(ctx); err != nil || n > 0 {
		find("%d records have no key", n)
	}
	if h.Root() != nil {
		if err := h.identity.Recheck(ctx); err != nil {
			find("the list of people is not the one that the practice signed")
		}
	}
	for _, l := range h.layers {
		if l.Evidence == nil {
			continue
		}
		for _, err := range l.Evidence(ctx) {
			if err != nil {
				find("the room %s does not answer: %v", l.Name, err)
				break
			}
		}
	}
	if len(t.Findings) > 0 {
		return t, fmt.Errorf("the changed copy is not as it should be: %s", strings.Join(t.Findings, "; "))
	}
	return t, nil
}

// tryOnPostgres tries the update in a schema of its own, filled with all rows.
// The house's own tables are then changed where they lie, each room's in one
// transaction, which PostgreSQL takes back by itself.
func (s *settings) tryOnPostgres(ctx context.Context, db *store.DB, in string, r *updated) (err error) {
	const name = "quietroom_update"
	u, err := url.Parse(s.Database)
	if err != nil {
		return err
	}
	drop := func() error {
		return db.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
			_, err := tx.ExecContext(ctx, `DROP SCHEMA IF EXISTS `+name+` CASCADE`)
			return err
		})
	}
	if err := drop(); err != nil {
		return err
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `CREATE SCHEMA `+name)
		return err
	})
	if err != nil {
		return fmt.Errorf("the database's user may not make a schema to try the update in: %w", err)
	}
	defer func() { err = errors.Join(err, drop()) }()
	dir := filepath.Join(s.dir, in)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	have, err := db.Versions(ctx)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "rows.sql")
	rows, err := writeRows(ctx, db, file)
	if err != nil {
		return err
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	copied, err := readSettings(s.dir)
	if err != nil {
		return err
	}
	copied.Database = u.String()
	if err := copied.fillCopy(ctx, file, have, rows); err != nil {
		return err
	}
	for _, n := range rows {
		r.Compared += n
	}
	r.Tried, err = copied.tryOn(ctx, copied.Database, rows)
	return err
}

// writeRows writes all rows of a database into one file.
func writeRows(ctx context.Context, db *store.DB, file string) (map[string]int, error) {
	snap, err := db.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	tables, err := snap.Tables(ctx)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	rows := map[string]int{}
	for _, t := range tables {
		if rows[t.Name], err = snap.Write(ctx, f, t); err != nil {
			break
		}
	}
	return rows, errors.Join(err, f.Close())
}

// fillCopy makes the tables as they were and puts the rows in; all of them have to come.
func (s *settings) fillCopy(ctx context.Context, file string, have, rows map[string]int) error {
	db, err := store.Open(ctx, s.database())
	if err != nil {
		return err
	}
	defer db.Close()
	plan := &house{settings: s, log: slog.New(slog.DiscardHandler), db: db, ledger: &ledger.Ledger{}}
	plan.furnish(seal.Key{}, seal.Key{}, seal.Key{}, seal.Key{}, seal.Key{})
	if err := db.Migrate(ctx, "ledger", upTo{ledger.Schema(), have["ledger"]}); err != nil {
		return err
	}
	for _, l := range plan.layers {
		if l.Schema != nil && have[l.Name] > 0 {
			if err := db.Migrate(ctx, l.Name, upTo{l.Schema, have[l.Name]}); err != nil {
				return err
			}
		}
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	filled, err := db.Fill(ctx, f, nil)
	for name, n := range rows {
		if err == nil && filled[name] != n {
			err = fmt.Errorf("of the table %s %d rows of %d were copied", name, filled[name], n)
		}
	}
	return err
}

// bringUpToDate does what an update needs before a house is opened whose tables
// are older than the program. A new house has none.
func (h *house) bringUpToDate(ctx context.Context) error {
	list, fresh, err := h.changes(ctx, h.db)
	if err != nil || fresh || len(list) == 0 {
		return err
	}
	r := updated{Changes: list}
	h.log.InfoContext(ctx, "the house is brought up to date", "rooms", len(list))
	r.Saved = h.saveBefore(ctx, list)
	ready, err := h.update(ctx, h.db, updateDir, &r)
	if err != nil {
		os.RemoveAll(filepath.Join(h.dir, updateDir))
		return fmt.Errorf("%w: %w", errUpdate, err)
	}
	if ready == "" {
		return nil
	}
	if err := errors.Join(h.db.Scrub(ctx), h.db.Close()); err != nil {
		return err
	}
	h.db = nil
	if err := h.swap(ready); err != nil {
		return fmt.Errorf("%w: %w", errUpdate, err)
	}
	h.updated = &r
	h.db, err = store.Open(ctx, h.database())
	return err
}

// saveBefore backs the house up as it is, where it has places for it. What fails
// is for the log: the copy beside the house is what an update relies on.
func (h *house) saveBefore(ctx context.Context, list []changeOf) (places []string) {
	if slices.ContainsFunc(list, func(c changeOf) bool { return c.Room == "ledger" }) {
		return nil
	}
	key, err := readLedgerKey(h.dir)
	if err != nil {
		return nil
	}
	old := &house{settings: h.settings, log: h.log, db: h.db, blobs: h.blobs}
	if old.ledger, err = ledger.Open(ctx, h.db, key, time.Now); err != nil {
		return nil
	}
	old.furnish(key.Another("kept"), key.Another("signins"), key.Another("training"), key.Another("antivirus"), seal.NewKey())
	if targets, err := old.backup.Targets(ctx); err != nil || len(targets) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	outcomes, err := old.backup.Run(ctx, nil)
	if err != nil {
		h.log.WarnContext(ctx, "no backup was made before the update", "err", err)
	}
	for _, o := range outcomes {
		if o.Failed == "" && !o.Waits {
			places = append(places, o.Name)
		}
	}
	return places
}

// was is where the database lies while the changed copy is in its place.
func (s *settings) was() string { return filepath.Join(s.dir, updateDir, "was.db") }

// swap puts the changed copy in the database's place. Killed between the two
// renames, the next start puts the old one back: see putBack.
func (s *settings) swap(ready string) error {
	for _, log := range []string{s.database() + "-wal", ready + "-wal"} {
		if info, err := os.Stat(log); err == nil && info.Size() > 0 {
			return fmt.Errorf("%s is still in use", filepath.Base(log))
		}
	}
	if err := os.Rename(s.database(), s.was()); err != nil {
		return err
	}
	if err := os.Rename(ready, s.database()); err != nil {
		return errors.Join(err, os.Rename(s.was(), s.database()))
	}
	return errors.Join(syncDir(filepath.Dir(s.was())), syncDir(s.dir))
}

// putBack ends an update that was cut off: what was before comes back, unless
// the new one had been found good.
func (s *settings) putBack() error {
	if strings.Contains(s.Database, "://") {
		return nil
	}
	if _, err := os.Stat(s.was()); err != nil {
		return os.RemoveAll(filepath.Join(s.dir, updateDir)) // a copy, or nothing
	}
	for _, tail := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(s.database() + tail); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(s.was(), s.database()); err != nil {
		return err
	}
	return errors.Join(syncDir(s.dir), os.RemoveAll(filepath.Join(s.dir, updateDir)))
}

// settle keeps the update, once the house has opened on it.
func (h *house) settle(ctx context.Context) error {
	if h.updated == nil {
		return nil
	}
	if err := h.db.QueryRowContext(ctx, `SELECT count(*) FROM vault_patients`).Scan(new(int)); err != nil {
		return err
	}
	err := h.db.Update(ctx, func(tx *store.Tx) error {
		return ledger.Append(ctx, tx, ledger.Fact{At: h.now(), Kind: "backup.updated"})
	})
	if err != nil {
		return err
	}
	if err := os.Remove(h.was()); err != nil { // from here on the update is done
		return err
	}
	h.log.InfoContext(ctx, "the house is up to date", "rows", h.updated.Compared, "took_ms", h.updated.TookMS)
	return errors.Join(syncDir(filepath.Join(h.dir, updateDir)), os.RemoveAll(filepath.Join(h.dir, updateDir)))
}

// updateCheck is what `quietroom update-check --json` prints.
type updateCheck struct {
	Held    bool       `json:"held"` // this program could serve the house
	Program string     `json:"program"`
	Fits    bool       `json:"fits"` // nothing would be changed
	Said    string     `json:"said"`
	Newest  *time.Time `json:"newest_backup,omitempty"`
	Proven  *time.Time `json:"proven_backup,omitempty"`
	updated
}

func updateCheckCommand(ctx context.Context, c *call) error {
	dir := c.flags.String("dir", "", "the house's directory")
	asJSON := c.flags.Bool("json", false, "print one JSON document and nothing else")
	words, err := c.parse()
	if err != nil {
		return err
	}
	if *dir == "" || len(words) > 0 {
		return usage("check which house? quietroom update-check --dir D")
	}
	if *dir, err = filepath.Abs(*dir); err != nil {
		return err
	}
	s, err := readSettings(*dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(s.was()); err == nil {
		return fmt.Errorf("an update of %s was cut off; start the server once, and it puts the house back as it was", *dir)
	}
	r, err := s.checkUpdate(ctx)
	if err != nil {
		return err
	}
	if *asJSON {
		err = json.NewEncoder(c.out).Encode(r)
	} else {
		fmt.Fprintln(c.out, r.Said)
		for _, ch := range r.Changes {
			fmt.Fprintf(c.out, "  tables of %s: version %d to %d\n", ch.Room, ch.From, ch.To)
		}
		if len(r.Changes) > 0 && r.Newest != nil {
			fmt.Fprintf(c.out, "Newest backup: %s. The update makes one more first.\n", r.Newest.Local().Format("2 January 2006, 15:04"))
		}
	}
	if err == nil && !r.Held {
		err = exit{exitFailed, nil}
	}
	return err
}

// checkUpdate does all of an update but the last step, on copies, and removes
// them. A served house goes on meanwhile.
func (s *settings) checkUpdate(ctx context.Context) (r updateCheck, err error) {
	r.Program = version
	if !strings.Contains(s.Database, "://") {
		if _, err := os.Stat(s.database()); err != nil {
			return r, fmt.Errorf("the house's database is not there: %w", err)
		}
	}
	db, err := store.Open(ctx, s.database())
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r.Changes = []changeOf{}
	list, fresh, err := s.changes(ctx, db)
	if errors.Is(err, store.ErrNewer) {
		r.Said = fmt.Sprintf("This program is older than the house: %v. Install the newer program; nothing was changed.", err)
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if list == nil || fresh {
		r.Held, r.Fits, r.Said = true, true, "This program and this house fit: nothing would be changed."
		return r, nil
	}
	r.Changes = list
	r.Newest, r.Proven = s.newestBackup(ctx, db)
	const in = "run/update-check"
	_, err = s.update(ctx, db, in, &r.updated)
	os.RemoveAll(filepath.Join(s.dir, in))
	if err != nil {
		r.Said = fmt.Sprintf("The update would not go through, and would change nothing: %v.", err)
		return r, nil
	}
	r.Held = true
	r.Said = fmt.Sprintf("The update would go through. A copy was made, compared (%s rows), changed and tried in %.1f s: %s facts, %s records of %s patients. The house was not touched.",
		grouped(r.Compared), float64(r.TookMS)/1000, grouped(int(r.Tried.Facts)), grouped(r.Tried.Records), grouped(r.Tried.Patients))
	return r, nil
}

// newestBackup reads when the house was saved last, and when a backup was proven.
func (s *settings) newestBackup(ctx context.Context, db *store.DB) (saved, proven *time.Time) {
	b := backup.New(backup.Config{DB: db, Dir: s.dir, Now: time.Now})
	if last, err := b.Last(ctx); err == nil {
		for _, l := range last {
			if saved == nil || l.At.After(*saved) {
				saved = &l.At
			}
		}
	}
	if proofs, err := b.Proofs(ctx, 1); err == nil && len(proofs) > 0 && proofs[0].Held {
		proven = &proofs[0].At
	}
	return saved, proven
}
