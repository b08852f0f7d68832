package backup

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/ground/store/blobs"
	"quietroom/ground/store/blobs/disk"
	"quietroom/ground/web"
	"quietroom/rooms/backup/restic"
)

// Folders of devices. A person chooses folders on a computer; its agent seals
// each file there, under a key of that person, and puts what changed here under
// opaque names. The house can open none of it. Every run saves it to the same
// places as the house, in the stream that is kept for 35 days: a document in
// somebody's folder may speak of a patient who is erased, and nobody here could
// tell. The newest copy stays for as long as the folder is here.

const (
	foldersDir = "folders" // in the house's directory
	foldersTag = "folders"
)

// spare is what stays free on the disk whatever devices bring: people write there.
const spare = 1 << 30

// Folders is where one person's chosen folders of one device lie: a store of
// sealed files. Close it when done.
type Folders struct {
	b   *Backup
	dir *disk.Disk
}

// Folders opens it; it is made where there is none.
func (b *Backup) Folders(p id.Person, d id.Device) (*Folders, error) {
	if err := errors.Join(id.Check(string(p)), id.Check(string(d))); err != nil {
		return nil, fmt.Errorf("folder of a device: %w", err)
	}
	place := filepath.Join(b.Dir, foldersDir, string(p), string(d))
	if err := os.MkdirAll(place, 0o700); err != nil {
		return nil, fmt.Errorf("folder of a device: %w", err)
	}
	dir, err := disk.Open(place)
	if err != nil {
		return nil, fmt.Errorf("folder of a device: %w", err)
	}
	return &Folders{b, dir}, nil
}

// Put takes one sealed file, or replaces it whole. What arrives has to be sealed
// by who sends it; a name is opaque (blobs.CheckName).
func (f *Folders) Put(ctx context.Context, name string, sealed io.Reader) error {
	if f.b.Free != nil {
		if free, err := f.b.Free(f.b.Dir); err == nil && free < spare {
			return &web.Error{Status: http.StatusInsufficientStorage, Text: "The server’s disk has no room for folders of devices.", Fix: "Tell whoever looks after the server. Nothing on the device was changed.", Err: store.ErrFull}
		}
	}
	return f.dir.Put(ctx, name, sealed)
}

// Get reads one sealed file; blobs.ErrNotFound.
func (f *Folders) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	return f.dir.Get(ctx, name)
}

// Delete drops one file. Copies of it expire at the places within 35 days.
func (f *Folders) Delete(ctx context.Context, name string) error { return f.dir.Delete(ctx, name) }

// List gives what is here.
func (f *Folders) List(ctx context.Context, prefix string) iter.Seq2[blobs.Info, error] {
	return f.dir.List(ctx, prefix)
}

// Close lets go of it.
func (f *Folders) Close() error { return f.dir.Close() }

// DropFolders forgets all that a device ever brought for a person.
func (b *Backup) DropFolders(p id.Person, d id.Device) error {
	if err := errors.Join(id.Check(string(p)), id.Check(string(d))); err != nil {
		return fmt.Errorf("folder of a device: %w", err)
	}
	return os.RemoveAll(filepath.Join(b.Dir, foldersDir, string(p), string(d)))
}

// FoldersSaved says when folders of devices were last saved, and at how many places.
func (b *Backup) FoldersSaved(ctx context.Context) (at time.Time, places int, err error) {
	s, err := b.Settings(ctx)
	for _, f := range s.Folders {
		places++
		if f.At.After(at) {
			at = f.At
		}
	}
	return at, places, err
}

// folderState is what was saved of all folders at one place.
type folderState struct {
	At    time.Time `json:"at"`
	Files int       `json:"files"`
	Sum   []byte    `json:"sum"` // of names, sizes and times
}

// folderSum looks at all folders: without a change there is nothing to save.
func (b *Backup) folderSum() (f folderState, err error) {
	sum := sha256.New()
	root := filepath.Join(b.Dir, foldersDir)
	err = filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil // dropped meanwhile
		}
		if err != nil {
			return err
		}
		f.Files++
		sum.Write([]byte(name))
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(info.Size())))
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(info.ModTime().UnixNano())))
		return nil
	})
	f.Sum = sum.Sum(nil)
	return f, err
}

// saveFolders saves the folders of devices at one place, if they changed there.
func (b *Backup) saveFolders(ctx context.Context, t Target, at time.Time) error {
	now, err := b.folderSum()
	if err != nil {
		return err
	}
	s, err := b.Settings(ctx)
	if err != nil {
		return err
	}
	was := s.Folders[t.ID]
	if now.Files == 0 && was.Files == 0 || string(was.Sum) == string(now.Sum) {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(b.Dir, foldersDir), 0o700); err != nil {
		return err
	}
	engine := b.engine(t)
	engine.At = at
	_, err = engine.Save(ctx, t.repo(Wraps, b.Password()), b.Dir, []string{foldersDir}, []string{"half", "*.new"}, []string{foldersTag}, nil)
	if err != nil {
		return err
	}
	now.At = at
	return b.change(ctx, func(s *Settings) {
		if s.Folders == nil {
			s.Folders = map[string]folderState{}
		}
		s.Folders[t.ID] = now
	})
}

// oldFolders says which copies of folders have had their time at a place. The
// newest always stays.
func oldFolders(list []restic.Snapshot, now time.Time) (forget []string) {
	var mine []kept
	var newest time.Time
	for _, s := range list {
		if ofFolders(s) && !s.Time.After(now) {
			mine = append(mine, kept{s.ID, s.Time})
			if s.Time.After(newest) {
				newest = s.Time
			}
		}
	}
	thin := toForget(mine, keyRules)
	for _, k := range mine {
		if k.at.Before(newest) && (now.Sub(k.at) > keyAge || contains(thin, k.id)) {
			forget = append(forget, k.id)
		}
	}
	return forget
}

func ofFolders(s restic.Snapshot) bool { return contains(s.Tags, foldersTag) }

// fetchFolders brings the newest copy of all folders back into a house that
// comes, from the first place that gives it whole.
func fetchFolders(ctx context.Context, engine engineOf, password string, copies []where, notAfter time.Time, dir string) (files int, tried []string, err error) {
	for _, w := range copies {
		if !notAfter.IsZero() && w.at.After(notAfter) {
			continue
		}
		err := engine(w.target).Restore(ctx, w.target.repo(Wraps, password), w.snapshot, dir)
		if ctx.Err() != nil {
			return 0, tried, ctx.Err()
		}
		if err == nil {
			_, files = sizeOf(path.Join(dir, foldersDir))
			return files, tried, nil
		}
		tried = append(tried, fmt.Sprintf("%s: folders of devices of %s: %s", w.target.Name, w.at.UTC().Format("2 January 15:04"), plain(err)))
		if err := os.RemoveAll(filepath.Join(dir, foldersDir)); err != nil {
			return 0, tried, err
		}
	}
	return 0, tried, nil
}
