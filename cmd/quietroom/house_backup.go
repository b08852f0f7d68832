package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/store/blobs/disk"
	"quietroom/rooms/backup"
	"quietroom/rooms/vault"
)

// What the backup room needs of the house, and how a house is made of what came back.

// streams says of each table with what it is saved. A table that holds anything
// about a patient that is not under a patient's key belongs to the short one, or
// to none; what nobody names here is kept long.
func streams(table string) backup.Stream {
	switch table {
	case "vault_wraps", "vault_older", "vault_care", // keys
		"vault_directory", "vault_tail", "vault_generation", "vault_index", "vault_shown", // derived
		"backup_drill_key",
		"antivirus_findings": // names a patient by number, under no key of theirs
		return backup.Wraps
	case "mail_queue", "mail_proposal", // on their way out
		"backup_keys", "backup_restored", "home_evidence", "home_count", "antivirus_servers": // measured anew every minute
		return backup.None
	}
	return backup.Records
}

// newBackup makes the room.
func (h *house) newBackup(kept seal.Key) *backup.Backup {
	secret := backupSecret(kept)
	c := backup.Config{
		DB: h.db, Dir: h.dir, Files: h.files(), Blobs: h.Blobs, Practice: h.ID, MadeUp: h.MadeUp != nil, Now: h.now, Secret: secret, Program: version, Log: h.log,
		Free: freeSpace, Stream: streams, Head: h.ledger.Head, Root: h.Root, Name: h.practiceName, Erased: h.vault.Erased,
		Check: func(ctx context.Context, dir string, m backup.Manifest, erased []id.Patient, look func(*store.DB) error) (backup.Checked, error) {
			return makeHouse(ctx, dir, "house.db", m, erased, look)
		},
		SameDisk: sameDisk, Keys: triedKeys{h.vault},
		Owners: func(ctx context.Context) (owners []id.Person) {
			if r, err := h.identity.Roster(ctx); err == nil {
				for _, name := range r.People() {
					if p, ok := r.Person(name); ok && !p.Gone && slices.Contains(p.Roles, seal.Owner) {
						owners = append(owners, id.Person(name))
					}
				}
			}
			return owners
		},
		TeamName: func(ctx context.Context, team id.Team) string {
			if r, err := h.identity.Roster(ctx); err == nil {
				if t, ok := r.Team(string(team)); ok {
					return t.Name
				}
			}
			return ""
		},
		Person: func(ctx context.Context) string {
			name, _ := h.identity.Name(ctx, id.From(ctx).Person)
			return name
		},
	}
	if h.MadeUp == nil && h.Root() == nil {
		c.Fresh = fresh{h}
	}
	if strings.Contains(h.Blobs, "://") { // a bucket: what lies there is copied beside the house first
		c.Blobs, c.Mirror = "saved/blobs", h.mirrorBlobs
	}
	return backup.New(c)
}

// files are the house's own files that a restoration needs.
func (s *settings) files() []string {
	files := []string{settingsFile, "ledger.key"}
	if _, err := os.Stat(filepath.Join(s.dir, bucketKey)); err == nil {
		files = append(files, bucketKey)
	}
	return files
}

// backupSecret is what the backup's password and sealed lists derive from.
func backupSecret(kept seal.Key) seal.Key { return kept.Derive("backup v1") }

// secretIn reads it from a house that came back.
func secretIn(dir string) (seal.Key, error) {
	key, err := readLedgerKey(dir)
	if err != nil {
		return seal.Key{}, err
	}
	return backupSecret(key.Another("kept")), nil
}

// mirrorBlobs copies what is new in the bucket, and drops what is gone there.
func (h *house) mirrorBlobs(ctx context.Context) error {
	here, err := disk.Open(filepath.Join(h.dir, "saved", "blobs"))
	if err != nil {
		return err
	}
	defer here.Close()
	have := map[string]int64{}
	for b, err := range here.List(ctx, "") {
		if err != nil {
			return err
		}
		have[b.Name] = b.Size
	}
	for b, err := range h.blobs.List(ctx, "") {
		if err != nil {
			return err
		}
		size, ok := have[b.Name]
		delete(have, b.Name)
		if ok && size == b.Size {
			continue
		}
		r, err := h.blobs.Get(ctx, b.Name)
		if err == nil {
			err = errors.Join(here.Put(ctx, b.Name, r), r.Close())
		}
		if err != nil {
			return fmt.Errorf("copy from the bucket: %w", err)
		}
	}
	for name := range have {
		if err := here.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// upTo shows of a room's migrations those that a saved house had seen, so that
// its rows meet the tables that they came from. The rest run when it is opened.
type upTo struct {
	fs.FS
	version int
}

func (u upTo) Glob(pattern string) ([]string, error) {
	all, err := fs.Glob(u.FS, pattern)
	return slices.DeleteFunc(all, func(name string) bool {
		var version int
		fmt.Sscanf(path.Base(name), "%04d_", &version)
		return version > u.version
	}), err
}

// fillHouse makes the database of a house that came back into dir: its tables as
// they were, and the rows of both streams.
func fillHouse(ctx context.Context, dir, database string, m backup.Manifest) (err error) {
	s, err := readSettings(dir)
	if err != nil {
		return err
	}
	if m.Practice != s.ID {
		return errors.New("its files are of two practices")
	}
	saved := filepath.Join(dir, "saved")
	if strings.Contains(s.Blobs, "://") {
		if err := os.Rename(filepath.Join(saved, "blobs"), filepath.Join(dir, "blobs")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.Blobs = "blobs"
	}
	s.Database = database
	if err := s.save(); err != nil {
		return err
	}
	h := &house{settings: s, log: slog.New(slog.DiscardHandler)}
	defer func() {
		if h.db != nil {
			err = errors.Join(err, h.db.Close())
		}
	}()
	if h.db, err = store.Open(ctx, s.database()); err != nil {
		return err
	}
	if err := lived(ctx, h.db); err != nil {
		return err
	}
	if h.blobs, err = s.shelf(ctx); err != nil {
		return err
	}
	defer h.blobs.Close()
	key, err := readLedgerKey(dir)
	if err != nil {
		return err
	}
	if h.ledger, err = ledger.Open(ctx, h.db, key, h.now); err != nil {
		return err
	}
	h.furnish(key.Another("kept"), key.Another("signins"), key.Another("training"), key.Another("antivirus"), seal.NewKey()) // no outgoing mail is in a backup
	for _, l := range h.layers {
		if version, ok := m.Versions[l.Name]; ok && l.Schema != nil {
			if err := h.db.Migrate(ctx, l.Name, upTo{l.Schema, version}); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"records.sql", "wraps.sql"} {
		if err := fillFrom(ctx, h.db, filepath.Join(saved, name)); err != nil {
			return err
		}
	}
	return nil
}

// lived refuses a database with somebody's rows in it.
func lived(ctx context.Context, db *store.DB) error {
	snap, err := db.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer snap.Close()
	tables, err := snap.Tables(ctx)
	if err == nil && len(tables) > 0 {
		return fmt.Errorf("the database: %w", backup.ErrLiving)
	}
	return err
}

func fillFrom(ctx context.Context, db *store.DB, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = db.Fill(ctx, io.Reader(f), nil)
	return err
}

// makeHouse makes a house of what came back, takes out who was erased, and looks
// at all of it that can be looked at without keys.
func makeHouse(ctx context.Context, dir, database string, m backup.Manifest, erased []id.Patient, look func(*store.DB) error) (c backup.Checked, err error) {
	if err := fillHouse(ctx, dir, database, m); err != nil {
		return c, err
	}
	s, err := readSettings(dir)
	if err != nil {
		return c, err
	}
	h, err := openWith(ctx, &house{settings: s, log: slog.New(slog.DiscardHandler), inPlace: true})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := look(h.db); err != nil {
		return c, err
	}
	find := func(format string, a ...any) { c.Findings = append(c.Findings, fmt.Sprintf(format, a...)) }
	key, err := readLedgerKey(dir)
	if err != nil {
		return c, err
	}
	var options ledger.Options
	if head, err := ledger.ParseCheckpoint([]byte(m.Head), key); err == nil {
		options.Witness = []ledger.Checkpoint{head}
	} else {
		find("The head of the ledger that was saved beside it is not this ledger’s.")
	}
	report, err := h.ledger.Verify(ctx, options)
	if err != nil {
		return c, err
	}
	words := report.Head.Words()
	c.Facts, c.Head = report.Facts, strings.Join(words[:], " ")
	if !report.Held() {
		find("The ledger does not hold: %s.", report.Finding.Text)
	}
	if _, err := h.vault.Bury(ctx, erased); err != nil {
		return c, err
	}
	records, err := h.vault.Verify(ctx, func(int, int) {})
	if err != nil {
		return c, err
	}
	c.Patients, c.Records = records.Patients, records.Records
	if records.Finding != "" {
		find("The records are not the ones that were written: %s.", records.Finding)
	}
	if m.Root != nil {
		if err := h.identity.Recheck(ctx); err != nil {
			find("The list of people and keys is not the one that the practice signed.")
		}
	}
	if n, err := h.vault.MissingKeys(ctx); err != nil || n > 0 {
		find("%s records came back without their key.", grouped(n))
	}
	if n, err := h.vault.MissingStreams(ctx); err != nil || n > 0 {
		find("%s large records came back without their content.", grouped(n))
	}
	return c, nil
}

// triedKeys is the vault, whose keys are tried and never handed out.
type triedKeys struct{ *vault.Vault }

func (t triedKeys) TryKeys(ctx context.Context, team id.Team, after string, each func(backup.KeySum, error) bool) (string, error) {
	return t.Vault.TryKeys(ctx, team, after, func(s vault.KeySum, err error) bool { return each(backup.KeySum(s), err) })
}

func (t triedKeys) KeySums(ctx context.Context, db *store.DB) (map[id.Team][]backup.KeySum, error) {
	return t.Vault.KeySums(ctx, db)
}
