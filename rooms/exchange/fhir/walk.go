package fhir

import (
	"archive/zip"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What a compressed file may grow to: a few mebibytes always, then a multiple
// of its size. Pretty-printed FHIR shrinks to a thirtieth; a zip bomb of one
// layer to a thousandth.
const (
	growFree    = 32 << 20
	growTimes   = 250
	maxUnpacked = 64 << 30
	maxEntries  = 1 << 20 // of a zip
)

// source is one file, or one entry of an archive, that should hold FHIR. It
// can be opened any number of times, one at a time.
type source struct {
	path   string
	number int   // position among all files, from 1
	lines  bool  // NDJSON
	size   int64 // bytes on disk
	packed bool  // reading a part means unpacking all before it
	open   func() (io.ReadCloser, error)
}

func (s source) problem(p *Problem) *Problem {
	p.File, p.Number = s.path, s.number
	return p
}

func (s source) fails(err error) *Problem {
	return s.problem(&Problem{Reason: "cannot be opened: " + plainReason(err)})
}

// plainReason drops the path from a file error: paths carry names.
func plainReason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	if e, ok := errors.AsType[*limitError](err); ok {
		return e.reason
	}
	return err.Error()
}

// walker lists the sources below some paths and keeps one archive open.
type walker struct {
	found   func(source, *Problem) bool
	n       int
	archive string
	zip     *zip.ReadCloser
}

func (w *walker) close() {
	if w.zip != nil {
		w.zip.Close()
	}
	w.zip, w.archive = nil, ""
}

// walk visits paths in the order given, folders from A to Z. Links inside
// folders are not followed.
func (w *walker) walk(ctx context.Context, paths []string) error {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path += string(filepath.Separator) // through a link that the person named
		}
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil && entry.IsDir() {
				return nil
			}
			return w.file(name, err, name == path)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) add(s source, p *Problem) error {
	w.n++
	s.number = w.n
	if p != nil {
		p = s.problem(p)
	}
	if !w.found(s, p) {
		return errStop
	}
	return nil
}

func (w *walker) file(path string, err error, asked bool) error {
	s := source{path: path}
	if err != nil {
		return w.add(s, s.fails(err))
	}
	look := os.Lstat
	if asked { // a link that the person named is meant
		look = os.Stat
	}
	info, err := look(path)
	if err != nil {
		return w.add(s, s.fails(err))
	}
	form := formOf(path)
	if !info.Mode().IsRegular() {
		return w.add(s, &Problem{Reason: "not a file, left alone", LeftAlone: !asked})
	}
	if form.archive {
		return w.entries(path, info.Size())
	}
	if !form.known {
		if asked {
			return w.add(s, &Problem{Reason: "not FHIR: wanted is .json, .ndjson, .zip or .gz"})
		}
		return w.add(s, &Problem{Reason: "not FHIR, left alone", LeftAlone: true})
	}
	s.lines, s.size, s.packed = form.lines, info.Size(), form.gzip
	s.open = func() (io.ReadCloser, error) {
		f, err := os.Open(path)
		if err != nil || !form.gzip {
			return f, err
		}
		return unzip(f, grown(info.Size()))
	}
	return w.add(s, nil)
}

// entries lists what a zip archive holds. Names inside it are used in messages
// and nowhere else.
func (w *walker) entries(path string, size int64) error {
	z, err := w.use(path)
	if err != nil {
		return w.add(source{path: path}, &Problem{Reason: "not a whole zip archive: " + plainReason(err)})
	}
	if reason := tooMuch(z, size); reason != "" {
		return w.add(source{path: path}, &Problem{Reason: reason})
	}
	order := make([]int, 0, len(z.File))
	for i, f := range z.File {
		if !f.FileInfo().IsDir() {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(z.File[a].Name, z.File[b].Name) })
	for _, i := range order {
		if err := w.entry(path, i, z.File[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(path string, i int, f *zip.File) error {
	s := source{path: path + " > " + printableName(f.Name), size: int64(f.CompressedSize64)}
	form := formOf(f.Name)
	switch {
	case form.archive:
		return w.add(s, &Problem{Reason: "an archive inside an archive is not opened: unpack it first"})
	case !form.known || !f.Mode().IsRegular():
		return w.add(s, &Problem{Reason: "not FHIR, left alone", LeftAlone: true})
	case f.Flags&1 != 0:
		return w.add(s, &Problem{Reason: "the archive is locked with a password: unpack it first"})
	}
	s.lines, s.packed = form.lines, true
	packed, unpacked := int64(f.CompressedSize64), int64(f.UncompressedSize64)
	s.open = func() (io.ReadCloser, error) {
		z, err := w.use(path)
		if err != nil {
			return nil, err
		}
		if i >= len(z.File) {
			return nil, errors.New("the archive changed meanwhile")
		}
		r, err := z.File[i].Open()
		if err != nil {
			return nil, err
		}
		if form.gzip {
			return unzip(r, grown(packed))
		}
		return &limited{r, r, unpacked, 0}, nil
	}
	return w.add(s, nil)
}

// use opens an archive, and closes the one before.
func (w *walker) use(path string) (*zip.ReadCloser, error) {
	if w.archive == path {
		return w.zip, nil
	}
	w.close()
	z, err := zip.OpenReader(path)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are never used as paths
		return nil, err
	}
	w.zip, w.archive = z, path
	return z, nil
}

// tooMuch says why an archive is not opened. Entries may lie on one another,
// so their sum counts, not each alone.
func tooMuch(z *zip.ReadCloser, size int64) string {
	if len(z.File) > maxEntries {
		return fmt.Sprintf("the archive holds more than %d files", maxEntries)
	}
	var unpacked uint64
	for _, f := range z.File {
		unpacked += min(f.UncompressedSize64, maxUnpacked+1)
		if int64(unpacked) > grown(size) {
			return limitReason
		}
	}
	return ""
}

const limitReason = "unpacks to far more than its size, as a zip bomb does: unpack it and look, then import the folder"

func grown(packed int64) int64 {
	return min(growFree+growTimes*min(packed, maxUnpacked), maxUnpacked)
}

// limitError ends a source that unpacks to more than it may.
type limitError struct{ reason string }

func (e *limitError) Error() string { return e.reason }

// limited reads at most left bytes, and closes what lies below.
type limited struct {
	io.Reader
	below io.Closer
	left  int64
	read  int64
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if l.read += int64(n); l.read > l.left {
		return 0, &limitError{limitReason}
	}
	return n, err
}

func (l *limited) Close() error { return l.below.Close() }

func unzip(r io.ReadCloser, limit int64) (io.ReadCloser, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("not a whole gzip file: %w", err)
	}
	return &limited{z, r, limit, 0}, nil
}

// form is what a file's name says about its inside.
type form struct{ known, lines, gzip, archive bool }

func formOf(name string) (f form) {
	name = strings.ToLower(name[strings.LastIndexAny(name, `/\`)+1:])
	if strings.HasPrefix(name, ".") { // ._Patient.json of a Mac is no FHIR
		return form{}
	}
	if inner, ok := strings.CutSuffix(name, ".gz"); ok {
		f.gzip, name = true, inner
	}
	switch filepath.Ext(name) {
	case ".json":
		f.known = true
	case ".ndjson", ".jsonl":
		f.known, f.lines = true, true
	case ".zip":
		f.archive = !f.gzip
	}
	return f
}

func printableName(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s[:min(len(s), 512)])
}
