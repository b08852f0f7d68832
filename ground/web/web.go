// Package web is the frame of every page: who may come in, the form token, the
// headers, what a person reads when something fails, and the drawing around a
// room's own words.
//
// It knows no room. A room hands over its routes with Mux.Handle, each with the
// people it is for, and renders with Pages.Show. There is nothing to remember:
// a route without an Access panics at start, a form gets its token while the
// template is read, an error that is not a *Error never reaches a page, and
// neither path nor query of a request ever reaches a log.
package web

import (
	"context"
	"errors"
	"log/slog"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Access says for whom a route is. The zero Access is nobody's: Handle panics,
// so that no door is open by omission.
type Access int

// The kinds of door.
const (
	Anyone Access = iota + 1 // no session needed; if there is one, the frame shows it
	Signed                   // a live session of any person of the practice
	Owner                    // a live session of an owner
	// Outside is for a page that stands outside of the house, like a letter's: no
	// session is looked for, and what is posted acts for nobody who is signed in.
	// Its handler proves by itself that a post came from a page it gave out.
	Outside
)

// Handler answers one request, or says why it did not. An error becomes a page:
// see Error for what of it a person reads.
type Handler func(http.ResponseWriter, *http.Request) error

// Cookies of the two halves of a session. The __Host- prefix makes the browser
// insist on Secure, Path=/ and no Domain.
const (
	SessionCookie = "__Host-qr"       // the whole session; keys the form token
	ProofCookie   = "__Host-qr-proof" // ten minutes or less; proves the browser
)

// ErrNoSession means that the request carries no live session.
var ErrNoSession = errors.New("web: no live session")

// Sessions finds the session behind a request. identity implements it.
type Sessions interface {
	// Enter returns a context that carries the actor (id.From) and, until done
	// is called, the keys. It returns ErrNoSession when there is no live session.
	Enter(w http.ResponseWriter, r *http.Request) (ctx context.Context, done func(), err error)
	// IsOwner tells whether the person of ctx is an owner.
	IsOwner(ctx context.Context) bool
	// Person is the display name for the frame; it may be empty.
	Person(ctx context.Context) string
}

// NavItem is one entry of the main navigation. A room that is not there adds
// none, so that no link is dead.
type NavItem struct {
	Key  string // "home", "today", "patients", "messages", "proof": what View.Nav names
	Text string // the word people read
	Icon string // a symbol of icons.svg; the Key if empty
	Path string // where it leads
	// Owner: only owners are shown it; the route itself says whom it is for.
	Owner bool
}

// navOrder is the order in which people find the rooms, whatever order the
// house was wired in.
var navOrder = []string{"home", "today", "patients", "messages", "proof"}

// Config is what the frame shows and needs. Its zero value works.
type Config struct {
	Practice  func() string    // the practice's name, asked for each page
	MadeUp    bool             // a banner on every page: nobody in it is real
	LockAfter time.Duration    // idle time after which the page asks to be locked; 10 minutes if zero
	Log       *slog.Logger     // where failures go; slog.Default if nil
	Now       func() time.Time // time.Now if nil
}

// Mux leads requests to handlers and answers for everything around them.
type Mux struct {
	conf     Config
	routes   *http.ServeMux
	sessions Sessions
	origin   *http.CrossOriginProtection
	static   *files
	signed   []string // scripts of every page of a live session
	nav      []NavItem
	foot     []NavItem
	own      *Pages
}

// NewMux makes a Mux without routes. Give it its sessions with SetSessions
// before it serves; until then nobody is signed in.
func NewMux(c Config) *Mux {
	if c.Practice == nil {
		c.Practice = func() string { return "" }
	}
	if c.LockAfter == 0 {
		c.LockAfter = 10 * time.Minute
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	own := MustPages(ownPages)
	own.Now = c.Now
	return &Mux{
		conf:     c,
		routes:   http.NewServeMux(),
		sessions: nobody{},
		origin:   http.NewCrossOriginProtection(),
		static:   ownFiles(),
		own:      own,
	}
}

// SetSessions hands over the sessions, once identity exists. Call it before serving.
func (m *Mux) SetSessions(s Sessions) { m.sessions = s }

// Nav adds an entry to the main navigation. Call it before serving.
func (m *Mux) Nav(item NavItem) {
	if item.Icon == "" {
		item.Icon = item.Key
	}
	m.nav = append(m.nav, item)
	slices.SortStableFunc(m.nav, func(a, b NavItem) int { return navRank(a.Key) - navRank(b.Key) })
}

// Foot adds a link to the foot of every page of a live session, where people
// look for what is their own. Call it before serving.
func (m *Mux) Foot(item NavItem) { m.foot = append(m.foot, item) }

func navRank(key string) int {
	if i := slices.Index(navOrder, key); i >= 0 {
		return i
	}
	return len(navOrder)
}

// Handle adds a route. The pattern is that of http.ServeMux and names its
// method: "POST /devices/{id}/check". A GET handler changes nothing; a POST
// handler that changed something answers with SeeOther. What somebody looks for
// is posted too, and answered with a page: a name must not stand in an address.
func (m *Mux) Handle(pattern string, h Handler, who Access) {
	method, path, ok := strings.Cut(pattern, " ")
	switch {
	case !ok || method == "" || !strings.HasPrefix(path, "/"):
		panic("web: the pattern " + pattern + " needs a method and a path: \"GET /devices\"")
	case strings.HasPrefix(path, staticPrefix):
		panic("web: " + staticPrefix + " belongs to the static files")
	case who < Anyone || who > Outside:
		panic("web: the route " + pattern + " does not say for whom it is")
	}
	m.routes.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		m.serve(w, r, h, who)
	})
}

// ServeHTTP answers one request.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header(), r.TLS != nil)
	if strings.HasPrefix(r.URL.Path, staticPrefix) && m.static.serve(w, r) {
		return
	}
	v := &visit{mux: m, token: formToken(r)}
	r = r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
	out := &answer{ResponseWriter: w}
	defer m.recoverPanic(out, r)

	if _, pattern := m.routes.Handler(r); pattern == "" {
		m.fail(out, r, m.noRoute(r))
		return
	}
	m.routes.ServeHTTP(out, r)
}

// serve runs one handler behind its door.
func (m *Mux) serve(w http.ResponseWriter, r *http.Request, h Handler, who Access) {
	if who == Outside {
		visitOf(r).token = ""
		if !reads(r) {
			r.Body = &body{ReadCloser: r.Body, limit: strangerLimit, left: strangerLimit}
		}
		if err := h(w, r); err != nil {
			m.fail(w, r, err)
		}
		return
	}
	if err := m.guardOrigin(r); err != nil {
		m.fail(w, r, err)
		return
	}
	ctx, done, err := m.sessions.Enter(w, r)
	if err == nil {
		defer done()
		v := visitOf(r)
		v.signed = true
		r = r.WithContext(ctx)
		v.ctx = ctx
	}
	if err := m.admit(w, r, who, err); err != nil {
		m.fail(w, r, err)
		return
	}
	if visitOf(r).left {
		return
	}
	// Only now is anything read: what somebody sends who may not come in is
	// never held in memory.
	if err := m.guardForm(r); err != nil {
		m.fail(w, r, err)
		return
	}
	if err := h(w, r); err != nil {
		m.fail(w, r, err)
	}
}

// admit holds the door: nil lets the request pass, unless it has left for /unlock.
func (m *Mux) admit(w http.ResponseWriter, r *http.Request, who Access, entered error) error {
	switch {
	case who == Anyone:
		if entered != nil && !errors.Is(entered, ErrNoSession) {
			m.log(r, slog.LevelWarn, "session not found out", http.StatusOK, "", entered)
		}
		return nil
	case errors.Is(entered, ErrNoSession):
		if !reads(r) || asks(r) {
			return &Error{Status: http.StatusUnauthorized, Text: "The room is closed. Nothing you sent was kept.", Fix: "Open it again with your passkey, then repeat this step.", Back: unlockPath}
		}
		visitOf(r).left = true
		return SeeOther(w, r, unlockPath+nextQuery(r.URL))
	case entered != nil:
		return entered
	case who == Owner && !m.sessions.IsOwner(r.Context()):
		return &Error{Status: http.StatusForbidden, Text: "This page is for the owner of the practice.", Fix: "Ask the owner to open it, or to make you an owner too.", Back: "/"}
	}
	return nil
}

// reads tells whether the request only asks for something.
func reads(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// asks tells whether a script asks, rather than a person who goes to a page.
func asks(r *http.Request) bool {
	return wantsJSON(r) || r.Header.Get("Sec-Fetch-Dest") == "empty"
}

// SeeOther answers a POST: the browser goes on to a page of this house, and a
// reload repeats nothing. Only a path of this house is accepted.
func SeeOther(w http.ResponseWriter, r *http.Request, to string) error {
	path, _, _ := strings.Cut(to, "?")
	path, _, _ = strings.Cut(path, "#")
	if !local(path) || strings.ContainsFunc(to, unicode.IsControl) {
		return errors.New("web: the way on does not lead to a page of this house")
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// visit is what the frame knows of one request.
type visit struct {
	mux    *Mux
	token  string          // form token; empty without a session cookie
	signed bool            // a live session was found
	ctx    context.Context // the session's, for its display name
	left   bool            // was sent to /unlock
	parts  *multipart.Reader
}

type visitKey struct{}

// visitOf returns the visit of a request, or an empty one outside a Mux.
func visitOf(r *http.Request) *visit {
	if v, ok := r.Context().Value(visitKey{}).(*visit); ok {
		return v
	}
	return &visit{}
}

// nobody is the Sessions of a house that has none yet.
type nobody struct{}

func (nobody) Enter(http.ResponseWriter, *http.Request) (context.Context, func(), error) {
	return nil, nil, ErrNoSession
}
func (nobody) IsOwner(context.Context) bool  { return false }
func (nobody) Person(context.Context) string { return "" }
