package web

import (
	"bytes"
	"crypto/rand"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed all:pages
var pagesFS embed.FS

// ownPages are the pages that web shows by itself.
var ownPages = sub(pagesFS, "pages")

// sub is fs.Sub of a folder that is embedded, and so cannot be missing.
func sub(fsys fs.FS, dir string) fs.FS {
	s, err := fs.Sub(fsys, dir)
	if err != nil {
		panic(err)
	}
	return s
}

// Pages are the pages of one room: each file X.html is the inside of <main>,
// shown as "X". Files that begin with _ hold parts that the others share with
// {{define}}. All of them know web's words: see words.go.
type Pages struct {
	Now   func() time.Time // what ages count from; time.Now unless a room says otherwise
	pages map[string]*template.Template
	blank string // stands where a form's token goes
	frame *template.Template
	hole  string // stands where a page goes in its frame

	mu     sync.Mutex
	frames map[around][2][]byte // what stands before and behind a page
}

// View is what a handler hands over to be shown.
type View struct {
	Status  int      // 200 if zero
	Title   string   // for tab and history; never a name or anything else about a patient
	Nav     string   // which entry of the navigation this is: "patients"
	Bare    bool     // no navigation: first run, cover, portal
	Step    string   // beside the mark of a bare page: "3 of 8, about 6 minutes left"; without it a bare page has no top at all
	Class   string   // of <main>: "middle" for a page that is only a .room, "note" for a sheet
	Scripts []string // names given to Mux.Script
	Data    any      // the page's own struct
}

// MustPages reads a room's pages, pages/*.html or *.html. It panics when one of
// them cannot be read as a template: that is seen at the first start.
func MustPages(fsys fs.FS) *Pages {
	if _, err := fs.Stat(fsys, "pages"); err == nil {
		fsys = sub(fsys, "pages")
	}
	p := &Pages{Now: time.Now, pages: map[string]*template.Template{}, blank: rand.Text(), hole: rand.Text(), frames: map[around][2][]byte{}}
	base := template.New("").Funcs(p.words())
	p.parse(base, ownPages, "_frame.html")
	p.parse(base, ownPages, "_parts.html")
	names, err := fs.Glob(fsys, "*.html")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "_") && fsys != ownPages {
			p.parse(base, fsys, name)
		}
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "_") {
			p.pages[strings.TrimSuffix(name, path.Ext(name))] = p.page(base, fsys, name)
		}
	}
	p.frame = template.Must(template.Must(base.Clone()).New("main").Parse(p.hole)).Lookup("frame")
	return p
}

// page makes one page of the file, to stand in the frame as text.
func (p *Pages) page(base *template.Template, fsys fs.FS, name string) *template.Template {
	t := template.Must(base.Clone())
	main := t.New("main")
	p.parse(main, fsys, name)
	return main
}

func (p *Pages) parse(t *template.Template, fsys fs.FS, name string) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		panic(err)
	}
	template.Must(t.Parse(p.withTokens(name, string(text))))
}

var (
	formTag    = regexp.MustCompile(`(?i)<form\b[^>]*>`)
	postMethod = regexp.MustCompile(`(?i)\smethod\s*=\s*["']?post\b`)
	anyMethod  = regexp.MustCompile(`(?i)\smethod\s*=\s*["']?\s*\{\{`)
)

// withTokens puts the token first into every form that posts. It stands first
// so that an upload's token arrives before its files.
func (p *Pages) withTokens(name, text string) string {
	return formTag.ReplaceAllStringFunc(text, func(tag string) string {
		if anyMethod.MatchString(tag) {
			panic("web: " + name + " computes the method of a form; write it down")
		}
		if !postMethod.MatchString(tag) {
			return tag
		}
		return tag + `<input type="hidden" name="` + TokenField + `" value="` + p.blank + `">`
	})
}

// frame is what the template of the frame gets.
type frame struct {
	View
	Practice  string
	MadeUp    bool
	Signed    bool
	Person    string
	Token     string
	LockAfter int // seconds
	Items     []NavItem
	Foot      []NavItem
	Scripts   []string // addresses
	Enhance   string
	Style     string
	Favicon   string
}

// Show renders a page, whole or not at all, and sends it.
func (p *Pages) Show(w http.ResponseWriter, r *http.Request, name string, v View) error {
	t, ok := p.pages[name]
	if !ok {
		return fmt.Errorf("no page %s", name)
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer giveBack(buf)
	visit := visitOf(r)
	f, err := visit.frame(v)
	if err != nil {
		return err
	}
	before, behind, err := p.around(visit.mux, f)
	if err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	buf.Write(before)
	if err := t.Execute(buf, v.Data); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	buf.Write(behind)
	if v.Status == 0 {
		v.Status = http.StatusOK
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	p.send(w, v.Status, buf.Bytes(), visit.token)
	return nil
}

// around is what one frame differs by from another.
type around struct {
	mux                              *Mux
	title, nav, step, class, scripts string
	practice, person                 string
	bare, signed, token              bool
}

// mostFrames bounds how many are kept.
const mostFrames = 500

// around draws the frame of a page, or finds it drawn: nothing of a patient ever
// stands in it, and people see the same one all day. Its token is left blank.
func (p *Pages) around(m *Mux, f frame) (before, behind []byte, err error) {
	key := around{m, f.Title, f.Nav, f.Step, f.Class, strings.Join(f.Scripts, " "), f.Practice, f.Person, f.Bare, f.Signed, f.Token != ""}
	p.mu.Lock()
	drawn, ok := p.frames[key]
	p.mu.Unlock()
	if ok {
		return drawn[0], drawn[1], nil
	}
	if f.Token != "" {
		f.Token = p.blank
	}
	var b bytes.Buffer
	if err := p.frame.Execute(&b, f); err != nil {
		return nil, nil, err
	}
	before, behind, _ = bytes.Cut(b.Bytes(), []byte(p.hole))
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.frames) >= mostFrames {
		clear(p.frames)
	}
	p.frames[key] = [2][]byte{before, behind}
	return before, behind, nil
}

// send writes the page with the token in each of its forms.
func (p *Pages) send(w http.ResponseWriter, status int, page []byte, token string) {
	blank := []byte(p.blank)
	length := len(page) + bytes.Count(page, blank)*(len(token)-len(blank))
	w.Header().Set("Content-Length", strconv.Itoa(length))
	w.WriteHeader(status)
	for {
		before, after, found := bytes.Cut(page, blank)
		_, _ = w.Write(before) // the other side is gone: nobody is left to tell
		if !found {
			return
		}
		_, _ = w.Write([]byte(token))
		page = after
	}
}

// ownPaths are the addresses of the frame's own files: they depend on nothing
// but the bytes in this program.
var ownPaths = ownFiles().paths

// frame gathers what surrounds the page.
func (v *visit) frame(view View) (frame, error) {
	f := frame{View: view, Token: v.token, Style: ownPaths[styleFile], Favicon: ownPaths[faviconFile], Enhance: ownPaths[enhanceFile]}
	if v.mux == nil {
		return f, nil
	}
	names := view.Scripts
	if v.signed {
		names = slices.Concat(v.mux.signed, names)
	}
	for _, name := range slices.Compact(names) {
		p, ok := v.mux.static.paths[name]
		if !ok {
			return f, fmt.Errorf("no script %s", name)
		}
		f.Scripts = append(f.Scripts, p)
	}
	f.Practice, f.MadeUp, f.Signed = v.mux.conf.Practice(), v.mux.conf.MadeUp, v.signed
	if v.signed {
		f.Person = v.mux.sessions.Person(v.ctx)
		f.LockAfter = int(v.mux.conf.LockAfter.Seconds())
	}
	if !view.Bare && v.signed {
		owner := v.mux.sessions.IsOwner(v.ctx)
		f.Items, f.Foot = shown(v.mux.nav, owner), shown(v.mux.foot, owner)
	}
	return f, nil
}

// shown are the links for one person.
func shown(all []NavItem, owner bool) (some []NavItem) {
	for _, item := range all {
		if !item.Owner || owner {
			some = append(some, item)
		}
	}
	return some
}

// buffers hold pages while they are made. They have held patients' words, so
// they are wiped before anybody else gets them.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func giveBack(b *bytes.Buffer) {
	const most = 1 << 20
	clear(b.Bytes())
	b.Reset()
	if b.Cap() <= most {
		buffers.Put(b)
	}
}
