package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strconv"
)

//go:embed static
var staticFS embed.FS

// staticPrefix is where the static files live, each under a hash of its bytes.
const staticPrefix = "/static/"

// The program's own static files.
const (
	styleFile   = "quietroom.css"
	iconsFile   = "icons.svg"
	faviconFile = "favicon.svg"
	enhanceFile = "enhance.js"
)

// files serves bytes that never change under their address.
type files struct {
	byPath map[string]file
	paths  map[string]string // name -> path
}

type file struct {
	kind    string
	content []byte
}

// ownFiles are the stylesheet, the icons and the script of the frame.
func ownFiles() *files {
	f := &files{byPath: map[string]file{}, paths: map[string]string{}}
	for _, name := range []string{styleFile, iconsFile, faviconFile, enhanceFile} {
		f.add(name, own(name))
	}
	return f
}

// own reads an embedded file, which cannot be missing.
func own(name string) []byte {
	b, err := staticFS.ReadFile("static/" + name)
	if err != nil {
		panic(err)
	}
	return b
}

func (f *files) add(name string, content []byte) {
	if _, ok := f.paths[name]; ok {
		panic("web: two static files are called " + name)
	}
	p := hashed(name, content)
	f.paths[name] = p
	f.byPath[p] = file{kindOf(name), content}
}

// hashed is the address of a file: it changes with its content.
func hashed(name string, content []byte) string {
	sum := sha256.Sum256(content)
	return staticPrefix + hex.EncodeToString(sum[:8]) + "/" + name
}

func kindOf(name string) string {
	if path.Ext(name) == ".js" {
		return "text/javascript; charset=utf-8" // mime.TypeByExtension asks the host's tables
	}
	if path.Ext(name) == ".css" {
		return "text/css; charset=utf-8"
	}
	if path.Ext(name) == ".svg" {
		return "image/svg+xml"
	}
	return mime.TypeByExtension(path.Ext(name))
}

func (f *files) serve(w http.ResponseWriter, r *http.Request) bool {
	file, ok := f.byPath[r.URL.Path]
	if !ok || !reads(r) {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", file.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Length", strconv.Itoa(len(file.content)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(file.content) // the other side is gone: nobody is left to tell
	}
	return true
}

// Script adds a room's own script, an ES module, to the static files. A page
// asks for it by name in View.Scripts. Call it before serving.
func (m *Mux) Script(name string, content []byte) { m.static.add(name, content) }

// ScriptForSigned has a script, added with Script, on every page that somebody
// with a live session sees. Call it before serving.
func (m *Mux) ScriptForSigned(name string) { m.signed = append(m.signed, name) }
