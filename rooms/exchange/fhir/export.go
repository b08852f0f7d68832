package fhir

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
)

// Export writes the plain folder in which people take their records along:
//
//	index.html                  a list of the patients, for reading and printing
//	patients/ID/bundle.json     all resources of one patient, a Bundle of type collection
//	patients/ID/index.html      the same patient, for reading and printing
//	patients/ID/files/NAME      a paper that is not FHIR, as it came
//	shared.ndjson               what belongs to no patient
//
// Every resource stands exactly once, as it came. ID is the patient's opaque
// identifier: no name of a file tells anything. A file appears whole or not at
// all, and Read takes the folder back in.
type Export struct {
	root   *os.Root
	shared *file
	out    *bufio.Writer
}

// ErrNotEmpty means that the folder holds something already: an export never
// mixes with what somebody else put there.
var ErrNotEmpty = errors.New("fhir: the folder is not empty")

// NewExport begins an export into an empty folder.
func NewExport(root *os.Root) (*Export, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("open the export folder: %w", err)
	}
	defer dir.Close()
	if _, err := dir.Readdirnames(1); !errors.Is(err, io.EOF) {
		return nil, errors.Join(ErrNotEmpty, err)
	}
	return &Export{root: root}, nil
}

// Patient writes one patient's Bundle.
func (e *Export) Patient(id string, resources iter.Seq2[Resource, error]) error {
	if !opaque(id) {
		return fmt.Errorf("export: a patient's identifier may hold letters and digits only")
	}
	return e.write(path.Join("patients", id, "bundle.json"), func(w *bufio.Writer) error {
		return WriteBundle(w, resources)
	})
}

// File writes a paper of one patient. The name is a plain one: see path.Base.
func (e *Export) File(id, name string, content io.Reader) error {
	if !opaque(id) || name != path.Base(name) || !filepath.IsLocal(name) {
		return fmt.Errorf("export: the name of a file or a patient may lead nowhere")
	}
	return e.write(path.Join("patients", id, "files", name), func(w *bufio.Writer) error {
		_, err := io.Copy(w, content)
		return err
	})
}

// WriteBundle writes a Bundle of type collection, one entry a line.
func WriteBundle(out io.Writer, resources iter.Seq2[Resource, error]) error {
	w := bufio.NewWriterSize(out, 64<<10) // out itself, if it is one already
	w.WriteString(`{"resourceType":"Bundle","type":"collection","entry":[`)
	between := "\n"
	for r, err := range resources {
		if err != nil {
			return err
		}
		w.WriteString(between)
		between = ",\n"
		w.WriteByte('{')
		if r.FullURL != "" {
			fmt.Fprintf(w, `"fullUrl":%s,`, quote(r.FullURL))
		}
		w.WriteString(`"resource":`)
		w.Write(r.Raw)
		w.WriteByte('}')
	}
	w.WriteString("\n]}\n")
	return w.Flush()
}

// Page writes the readable page of one patient beside the Bundle.
func (e *Export) Page(id string, p Page) error {
	if !opaque(id) {
		return fmt.Errorf("export: a patient's identifier may hold letters and digits only")
	}
	return e.write(path.Join("patients", id, "index.html"), func(w *bufio.Writer) error { return WritePage(w, p) })
}

// Index writes the list of all patients.
func (e *Export) Index(p IndexPage) error {
	return e.write("index.html", func(w *bufio.Writer) error { return writeIndex(w, p) })
}

// Shared writes one resource that belongs to no patient.
func (e *Export) Shared(r Resource) error {
	if e.shared == nil {
		f, err := create(e.root, "shared.ndjson")
		if err != nil {
			return err
		}
		e.shared, e.out = f, bufio.NewWriterSize(f, 64<<10)
	}
	e.out.Write(r.Raw)
	return e.out.WriteByte('\n')
}

// Close makes the export durable, all of it at once: thousands of files that
// are each waited for would take minutes. An export that was not closed is not
// whole, even where all of its files can be seen.
func (e *Export) Close() error {
	if e.shared != nil {
		err := errors.Join(e.out.Flush(), e.shared.keep())
		e.shared = nil
		if err != nil {
			return fmt.Errorf("write shared.ndjson: %w", err)
		}
	}
	err := fs.WalkDir(e.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return e.sync(name, d.IsDir())
	})
	if err != nil {
		return fmt.Errorf("make the export durable: %w", plainError(err))
	}
	return nil
}

func (e *Export) sync(name string, folder bool) error {
	mode := os.O_RDWR // Windows flushes only what may be written
	if folder {
		mode = os.O_RDONLY
	}
	f, err := e.root.OpenFile(name, mode, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if folder {
		return syncFolder(f)
	}
	return f.Sync()
}

func (e *Export) write(name string, fill func(*bufio.Writer) error) error {
	dir := path.Dir(name)
	if err := e.root.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make a folder of the export: %w", err)
	}
	f, err := create(e.root, name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	if err := errors.Join(fill(w), w.Flush()); err != nil {
		f.drop()
		return fmt.Errorf("write a file of the export: %w", err)
	}
	if err := f.keep(); err != nil {
		return fmt.Errorf("write a file of the export: %w", plainError(err))
	}
	return nil
}

// file is written under a temporary name, and gets its own when it is whole.
type file struct {
	*os.File
	root *os.Root
	name string
}

func create(root *os.Root, name string) (*file, error) {
	f, err := root.OpenFile(name+".part", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create a file of the export: %w", plainError(err))
	}
	return &file{f, root, name}, nil
}

func (f *file) keep() error {
	if err := f.Close(); err != nil {
		return err
	}
	return f.root.Rename(f.name+".part", f.name)
}

func (f *file) drop() {
	f.Close()
	f.root.Remove(f.name + ".part")
}

func opaque(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' {
			return false
		}
	}
	return true
}

// plainError drops the path from a file error: a file's name may be a patient's.
func plainError(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
