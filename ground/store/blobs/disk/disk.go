// Package disk keeps blobs as files of one directory.
package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"runtime"
	"strings"

	"quietroom/ground/store/blobs"
)

// Disk is a blobs.Store in a directory.
type Disk struct{ root *os.Root }

// half is where blobs are written until they are whole.
const half = "half"

// Open opens the store in dir, which it makes if need be, and sweeps away what
// a killed server left half written. The caller holds the house's lock: one
// server uses a directory at a time.
func Open(dir string) (*Disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	if err := errors.Join(root.RemoveAll(half), root.Mkdir(half, 0o700)); err != nil {
		root.Close()
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	return &Disk{root}, nil
}

// Close gives the directory back.
func (d *Disk) Close() error { return d.root.Close() }

// file gives a blob's path. A segment becomes a folder d..., the last one a file
// b... in a folder f.. of its first two letters, so that no folder holds too
// many, no file is in a folder's way, and no name means anything to Windows.
func file(name string) string {
	var parts []string
	segments := strings.Split(name, "/")
	for _, s := range segments[:len(segments)-1] {
		parts = append(parts, "d"+s)
	}
	last := segments[len(segments)-1]
	return path.Join(append(parts, "f"+strings.ToLower(last[:min(2, len(last))]), "b"+last)...)
}

// name is the way back.
func name(file string) string {
	var segments []string
	for p := range strings.SplitSeq(file, "/") {
		if p[0] != 'f' {
			segments = append(segments, p[1:])
		}
	}
	return strings.Join(segments, "/")
}

// Put implements blobs.Store: the file is synced, then gets its name, then the folder is synced.
func (d *Disk) Put(ctx context.Context, name string, r io.Reader) error {
	if err := blobs.CheckName(name); err != nil {
		return err
	}
	temp := path.Join(half, rand.Text())
	defer d.root.Remove(temp) // where it did not get its name
	if err := d.write(temp, blobs.Reader(ctx, r)); err != nil {
		return fmt.Errorf("put blob %s: %w", name, err)
	}
	folder := path.Dir(file(name))
	if err := d.makeFolder(folder); err != nil {
		return fmt.Errorf("put blob %s: %w", name, err)
	}
	if err := d.root.Rename(temp, file(name)); err != nil {
		return fmt.Errorf("put blob %s: %w", name, err)
	}
	return d.syncFolder(folder)
}

func (d *Disk) write(temp string, r io.Reader) error {
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// makeFolder makes what is missing of a folder, durably: a synced file in a
// folder that a power cut takes away is lost.
func (d *Disk) makeFolder(folder string) error {
	if info, err := d.root.Stat(folder); err == nil && info.IsDir() {
		return nil
	}
	if folder != "." {
		if err := d.makeFolder(path.Dir(folder)); err != nil {
			return err
		}
	}
	if err := d.root.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.syncFolder(path.Dir(folder))
}

func (d *Disk) syncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil // a folder cannot be synced there, a rename is in the journal
	}
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Get implements blobs.Store.
func (d *Disk) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := errors.Join(ctx.Err(), blobs.CheckName(name)); err != nil {
		return nil, err
	}
	f, err := d.root.Open(file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("get blob %s: %w", name, blobs.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("get blob %s: %w", name, err)
	}
	return f, nil
}

// Delete implements blobs.Store.
func (d *Disk) Delete(ctx context.Context, name string) error {
	if err := errors.Join(ctx.Err(), blobs.CheckName(name)); err != nil {
		return err
	}
	err := d.root.Remove(file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete blob %s: %w", name, err)
	}
	return d.syncFolder(path.Dir(file(name)))
}

// List implements blobs.Store: it walks only where the prefix leads.
func (d *Disk) List(ctx context.Context, prefix string) iter.Seq2[blobs.Info, error] {
	return func(yield func(blobs.Info, error) bool) {
		err := fs.WalkDir(d.root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // deleted meanwhile
			case err != nil:
				return err
			case ctx.Err() != nil:
				return ctx.Err()
			case e.IsDir() && (p == half || leadsAway(p, prefix)):
				return fs.SkipDir
			case e.IsDir() || !strings.HasPrefix(name(p), prefix):
				return nil
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if !yield(blobs.Info{Name: name(p), Size: info.Size(), Modified: info.ModTime()}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(blobs.Info{}, fmt.Errorf("list blobs %s: %w", prefix, err))
		}
	}
}

// leadsAway is true of a folder d... in which no name can begin with prefix.
func leadsAway(folder, prefix string) bool {
	if folder == "." || path.Base(folder)[0] != 'd' {
		return false
	}
	begin := name(folder) + "/"
	return !strings.HasPrefix(begin, prefix) && !strings.HasPrefix(prefix, begin)
}
