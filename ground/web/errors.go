package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime"
	"strings"
)

// Error is the only kind of error whose words reach a person.
type Error struct {
	Status int    // HTTP status; 500 if zero
	Text   string // what happened, one sentence
	Fix    string // what to do about it; may be empty
	Back   string // a path of this house to go on from; may be empty
	Err    error  // for the operator's log; nil: nothing is logged
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Text
	}
	return e.Text + ": " + e.Err.Error()
}

// Unwrap returns the operator's part.
func (e *Error) Unwrap() error { return e.Err }

// calm is what a person reads when anything else went wrong.
const calm = "Something on the server did not work. It is not your doing."

// refusal is an error that explains itself: a door that stays closed, how to
// open it, how long that takes and, where one is offered, the logged override.
// layer.Refusal is one.
type refusal interface {
	error
	Refused() (why, fix string, minutes int, override string)
}

// fail turns an error into the page that a person reads.
func (m *Mux) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := m.explain(r, err)
	if a, ok := w.(*answer); ok && a.begun {
		m.log(r, slog.LevelError, "answer broke off", p.Status, p.Reference, err)
		panic(http.ErrAbortHandler) // half a page is never taken for a whole one
	}
	if p.log != nil && !hungUp(r) {
		m.log(r, slog.LevelError, "request failed", p.Status, p.Reference, p.log)
	}
	for _, k := range []string{"Content-Disposition", "Content-Length", "Content-Encoding", "ETag", "Last-Modified"} {
		w.Header().Del(k)
	}
	w.Header().Set("Cache-Control", "no-store")
	if p.Status == http.StatusRequestEntityTooLarge {
		w.Header().Set("Connection", "close")
	}
	if wantsJSON(r) {
		_ = JSON(w, p.Status, p) // plain strings: cannot fail
		return
	}
	view := View{Status: p.Status, Title: p.title(), Data: p}
	if err := m.own.Show(w, r, p.page, view); err != nil {
		m.log(r, slog.LevelError, "error page failed", p.Status, p.Reference, err)
		http.Error(w, calm, http.StatusInternalServerError)
	}
}

// hungUp tells whether a stranger left before the answer. What fails then fails
// by their doing, as often as they like.
func hungUp(r *http.Request) bool { return !visitOf(r).signed && r.Context().Err() != nil }

// problem is the page of an error; scripts get it as JSON.
type problem struct {
	Status    int    `json:"status"`
	Text      string `json:"text"`
	Fix       string `json:"fix,omitempty"`
	Back      string `json:"back,omitempty"`
	Minutes   int    `json:"minutes,omitempty"`
	Override  string `json:"override,omitempty"`
	Reference string `json:"reference,omitempty"`
	Again     string `json:"-"` // the same page once more, for a refusal
	First     string `json:"-"` // Text's first sentence, the page's own
	Rest      string `json:"-"` // and the others
	page      string
	log       error // what the operator should see, if anything
}

func (p problem) title() string {
	switch {
	case p.page == "refusal":
		return "Not yet"
	case p.Status == http.StatusNotFound:
		return "Not here"
	case p.Status >= 500:
		return "Not working"
	}
	return "Not done"
}

// explain decides what a person reads.
func (m *Mux) explain(r *http.Request, err error) problem {
	if e, ok := errors.AsType[refusal](err); ok {
		why, fix, minutes, override := e.Refused()
		p := problem{Status: http.StatusForbidden, Text: why, Fix: fix, Minutes: minutes, page: "refusal"}
		p.First, p.Rest, _ = strings.Cut(why, ". ")
		if local(override) {
			p.Override = override
		}
		if reads(r) {
			p.Again = r.URL.RequestURI()
		}
		return p
	}
	if e, ok := errors.AsType[*Error](err); ok {
		p := problem{Status: e.Status, Text: e.Text, Fix: e.Fix, Back: e.Back, page: "error"}
		if p.Status == 0 {
			p.Status = http.StatusInternalServerError
		}
		if e.Err != nil {
			p.Reference, p.log = rand.Text()[:8], err
		}
		return p
	}
	if brokeOff(r, err) {
		return m.explain(r, unreadable(err))
	}
	return problem{Status: http.StatusInternalServerError, Text: calm, Fix: "Look whether what you did is there, then try again. If it stays so, tell whoever looks after the server this number.", Back: "/", Reference: rand.Text()[:8], page: "error", log: err}
}

// noRoute tells a path that does not exist from one that takes another method.
func (m *Mux) noRoute(r *http.Request) error {
	probe := &probe{header: http.Header{}}
	m.routes.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		return &Error{Status: http.StatusMethodNotAllowed, Text: "This page does not take that step.", Fix: "Go back and use the buttons of the page.", Back: "/"}
	}
	return &Error{Status: http.StatusNotFound, Text: "There is no such page in this house.", Fix: "It may have been closed, or the address has a slip.", Back: "/"}
}

// probe hears what http.ServeMux would have said.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
func (p *probe) WriteHeader(status int)      { p.status = status }

// answer remembers whether anything has been sent.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = a.begun || status >= 200
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// recoverPanic turns a panic into the page of an unknown error. Only the place
// and, from the runtime itself, the reason are logged: a panic's value may hold
// anything.
func (m *Mux) recoverPanic(w *answer, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	visitOf(r).signed = false // its keys are put away already: the frame asks nobody
	err := fmt.Errorf("panic of a %T at %s", v, place())
	if e, ok := v.(runtime.Error); ok {
		err = fmt.Errorf("%w: %w", err, e)
	}
	m.fail(w, r.WithContext(context.WithoutCancel(r.Context())), err) // a panic is logged, whoever left
}

// place names the functions that led to a panic, without their arguments.
func place() string {
	pc := make([]uintptr, 24)
	frames := runtime.CallersFrames(pc[:runtime.Callers(4, pc)])
	var names []string
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") && !strings.HasPrefix(f.Function, "net/http.") {
			names = append(names, fmt.Sprintf("%s:%d", f.Function, f.Line))
		}
		if !more || len(names) == 6 {
			return strings.Join(names, " < ")
		}
	}
}

// log writes one line about a request: its route, never its address.
func (m *Mux) log(r *http.Request, level slog.Level, what string, status int, reference string, err error) {
	m.conf.Log.LogAttrs(r.Context(), level, what,
		slog.String("method", r.Method), slog.String("route", m.route(r)),
		slog.Int("status", status), slog.String("reference", reference), slog.String("err", quiet(err)))
}

// route is the pattern of the request, without the method.
func (m *Mux) route(r *http.Request) string {
	pattern := r.Pattern
	if pattern == "" {
		_, pattern = m.routes.Handler(r)
	}
	_, path, _ := strings.Cut(pattern, " ")
	return path
}

// quoted is what the standard library puts somebody's own words into: parsing
// "Jane", open "…", Get "https://…".
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|` + "`[^`]*`?")

// quiet is an error's text for the log, without anything quoted in it.
func quiet(err error) string {
	const most = 600
	s := quoted.ReplaceAllString(err.Error(), `"…"`)
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "")
}

// wantsJSON tells whether a script asked and expects JSON.
func wantsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}
