package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// The folder in which a consistent copy of the rows waits to be saved, and where
// it comes back. Everything in it is sealed as it was in the database.
const (
	stageDir       = "saved"
	recordsFile    = "records.sql"
	wrapsFile      = "wraps.sql"
	manifestFile   = "manifest.json"
	tombstonesFile = "tombstones"
)

// Manifest says what belongs to one saved state, so that what comes back can be
// compared with what was there. It holds counts and hashes, nothing readable.
type Manifest struct {
	Format   int                 `json:"format"`
	Practice string              `json:"practice"`
	Pair     string              `json:"pair"`
	At       time.Time           `json:"at"`
	Program  string              `json:"program"`
	Kind     store.Kind          `json:"database"`
	Facts    int64               `json:"facts"` // of the ledger's newest head, a moment before
	Head     string              `json:"head"`  // that head, signed
	Root     []byte              `json:"root,omitempty"`
	Versions map[string]int      `json:"versions"` // of each room's tables
	Tables   map[string]TableSum `json:"tables"`
	Records  FileSum             `json:"records"`
	Wraps    FileSum             `json:"wraps"`
	Paused   time.Duration       `json:"-"`
}

// TableSum is one table as it was saved.
type TableSum struct {
	Stream  Stream   `json:"stream"`
	Columns []string `json:"columns"`
	Rows    int      `json:"rows"`
	Sum     string   `json:"sum"` // SHA-256 of its lines
}

// FileSum is one file as it was saved.
type FileSum struct {
	Size int64  `json:"size"`
	Sum  string `json:"sum"`
}

func (b *Backup) staged(name string) string { return filepath.Join(b.Dir, stageDir, name) }

// stage writes a consistent copy of the rows beside the house, in one moment of
// the database, while people go on working. What has not changed since the last
// time is left as it lies.
func (b *Backup) stage(ctx context.Context) (m Manifest, err error) {
	if err := b.ensureDrill(ctx); err != nil {
		return m, err
	}
	if err := os.MkdirAll(filepath.Join(b.Dir, stageDir), 0o700); err != nil {
		return m, fmt.Errorf("stage: %w", err)
	}
	head, err := b.Head(ctx)
	if err != nil {
		return m, err
	}
	if err := b.writeTombstones(ctx); err != nil {
		return m, err
	}
	snap, err := b.DB.Snapshot(ctx)
	if err != nil {
		return m, err
	}
	defer snap.Close()
	if b.Mirror != nil { // after the moment of the rows: every stream that they name is there for a day
		if err := b.Mirror(ctx); err != nil {
			return m, err
		}
	}
	m = Manifest{Format: 1, Practice: b.Practice, Pair: newPair(), At: b.Now().UTC(), Program: b.Program, Kind: b.DB.Kind(), Facts: head.Size, Head: head.Note, Root: b.Root(), Tables: map[string]TableSum{}}
	if m.Versions, err = versions(ctx, snap); err != nil {
		return m, err
	}
	tables, err := snap.Tables(ctx)
	if err != nil {
		return m, err
	}
	files := map[Stream]*sumFile{}
	for stream, name := range map[Stream]string{Records: recordsFile, Wraps: wrapsFile} {
		f, err := newSumFile(b.staged(name))
		if err != nil {
			return m, err
		}
		defer f.drop()
		files[stream] = f
	}
	for _, t := range tables {
		stream := b.Stream(t.Name)
		f, ok := files[stream]
		if !ok {
			continue
		}
		sum := sha256.New()
		rows, err := snap.Write(ctx, io.MultiWriter(f, sum), t)
		if err != nil {
			return m, err
		}
		m.Tables[t.Name] = TableSum{stream, t.Columns, rows, hex.EncodeToString(sum.Sum(nil))}
	}
	if m.Records, err = files[Records].keep(); err != nil {
		return m, err
	}
	if m.Wraps, err = files[Wraps].keep(); err != nil {
		return m, err
	}
	text, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return m, err
	}
	return m, writeWhole(b.staged(manifestFile), text)
}

func newPair() string { return string(id.New[id.Record]()) }

// versions are the versions of the rooms' tables.
func versions(ctx context.Context, snap *store.Snapshot) (map[string]int, error) {
	rows, err := snap.QueryContext(ctx, `SELECT room, MAX(version) FROM store_versions GROUP BY room`)
	if err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	defer rows.Close()
	v := map[string]int{}
	for rows.Next() {
		var room string
		var n int
		if err := rows.Scan(&room, &n); err != nil {
			return nil, fmt.Errorf("read versions: %w", err)
		}
		v[room] = n
	}
	return v, rows.Err()
}

// sumFile writes a file beside the one it will replace, and its sum.
type sumFile struct {
	path string
	f    *os.File
	sum  hash.Hash
	size int64
}

func newSumFile(path string) (*sumFile, error) {
	os.Remove(path + ".new")
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("stage: %w", err)
	}
	return &sumFile{path: path, f: f, sum: sha256.New()}, nil
}

func (s *sumFile) Write(p []byte) (int, error) {
	n, err := s.f.Write(p)
	s.sum.Write(p[:n])
	s.size += int64(n)
	return n, err
}

// keep puts the new file in the old one's place, unless it is the same: then
// restic need not read it again.
func (s *sumFile) keep() (FileSum, error) {
	sum := FileSum{s.size, hex.EncodeToString(s.sum.Sum(nil))}
	if err := errors.Join(s.f.Sync(), s.f.Close()); err != nil {
		return sum, fmt.Errorf("stage: %w", err)
	}
	s.f = nil
	if old, err := sumOf(s.path); err == nil && old == sum {
		return sum, os.Remove(s.path + ".new")
	}
	return sum, os.Rename(s.path+".new", s.path)
}

func (s *sumFile) drop() {
	if s.f != nil {
		s.f.Close()
		os.Remove(s.path + ".new")
	}
}

func sumOf(path string) (FileSum, error) {
	f, err := os.Open(path)
	if err != nil {
		return FileSum{}, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return FileSum{n, hex.EncodeToString(sum.Sum(nil))}, err
}

func writeWhole(path string, text []byte) error {
	f, err := newSumFile(path)
	if err != nil {
		return err
	}
	defer f.drop()
	if _, err := f.Write(text); err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	_, err = f.keep()
	return err
}

// Tombstones: who was erased, ever. The list goes with every snapshot to every
// place, and each restoration applies all of them before it serves.

func (b *Backup) writeTombstones(ctx context.Context) error {
	erased, err := b.Erased(ctx)
	if err != nil {
		return err
	}
	return writeWhole(b.staged(tombstonesFile), Tombstones(b.Secret, b.Practice, erased))
}

// Tombstones writes the list, with a MAC under the house's secret: a place that
// holds backups can leave the list out, and cannot add to it.
func Tombstones(secret seal.Key, practice string, erased []id.Patient) []byte {
	names := make([]string, len(erased))
	for i, p := range erased {
		names[i] = string(p)
	}
	slices.Sort(names)
	body := "quietroom tombstones v1\n" + practice + "\n" + strings.Join(append(slices.Compact(names), ""), "\n")
	mac := secret.Derive("tombstones v1", body)
	return []byte(body + base32.StdEncoding.EncodeToString(mac[:]) + "\n")
}

// errForgedList means that a list of the erased was not written by this house.
var errForgedList = errors.New("backup: the list of erased patients was not written by this house")

// ReadTombstones reads such a list.
func ReadTombstones(secret seal.Key, practice string, text []byte) ([]id.Patient, error) {
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) < 3 || lines[1] != practice {
		return nil, errForgedList
	}
	var erased []id.Patient
	for _, name := range lines[2 : len(lines)-1] {
		erased = append(erased, id.Patient(name))
	}
	if !bytes.Equal(Tombstones(secret, practice, erased), text) {
		return nil, errForgedList
	}
	return erased, nil
}

// drillRecords is how many records that belong to nobody a proof has to open.
const drillRecords = 8

func (b *Backup) drillKey() seal.Key { return b.Secret.Derive("drill v1") }

func (b *Backup) drillSlot(kind, record string) seal.Slot { return drillSlot(b.Practice, kind, record) }

func drillSlot(practice, kind, record string) seal.Slot {
	return seal.Slot{Kind: kind, Practice: practice, Record: record}
}

// ensureDrill puts the drill records in, once.
func (b *Backup) ensureDrill(ctx context.Context) error {
	var have int
	if err := b.DB.QueryRowContext(ctx, `SELECT count(*) FROM backup_drill_key`).Scan(&have); err != nil || have > 0 {
		return err
	}
	key := seal.NewKey()
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO backup_drill_key (one, box) VALUES (1, $1)`, b.drillKey().SealKey(key, b.drillSlot("drill-key", ""))); err != nil {
			return err
		}
		for range drillRecords {
			r := newPair()
			if _, err := tx.ExecContext(ctx, `INSERT INTO backup_drill (record, box) VALUES ($1, $2)`, r, key.Seal([]byte("a drill record"), b.drillSlot("drill-record", r))); err != nil {
				return err
			}
		}
		return nil
	})
}

// openDrill opens the drill records of a database that came back: the key from
// one stream, the records from the other.
func openDrill(ctx context.Context, db *store.DB, secret seal.Key, practice string) (opened int, err error) {
	var box []byte
	if err := db.QueryRowContext(ctx, `SELECT box FROM backup_drill_key WHERE one = 1`).Scan(&box); err != nil {
		return 0, fmt.Errorf("the key of the drill records is missing: %w", err)
	}
	key, err := secret.Derive("drill v1").OpenKey(box, drillSlot(practice, "drill-key", ""))
	if err != nil {
		return 0, fmt.Errorf("the key of the drill records does not open: %w", err)
	}
	rows, err := db.QueryContext(ctx, `SELECT record, box FROM backup_drill`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var record string
		if err := rows.Scan(&record, &box); err != nil {
			return opened, err
		}
		if _, err := key.Open(box, drillSlot(practice, "drill-record", record)); err != nil {
			return opened, fmt.Errorf("a drill record does not open: %w", err)
		}
		opened++
	}
	return opened, rows.Err()
}

// freeFor refuses to begin what the disk has no room for.
func freeFor(free func(string) (int64, error), dir string, need int64) error {
	if free == nil {
		return nil
	}
	have, err := free(dir)
	if err != nil || have >= need {
		return nil // where it is not known, the disk itself will say
	}
	return fmt.Errorf("%d MB are free in %s and %d MB are needed: %w", have>>20, dir, need>>20, store.ErrFull)
}

// sizeOf adds up the files of a folder.
func sizeOf(dir string) (bytes int64, files int) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				bytes += info.Size()
				files++
			}
		}
		return nil
	})
	return bytes, files
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
