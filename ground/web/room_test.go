package web_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"quietroom/ground/web"
)

// now is the clock of the made-up room, so that pages are the same every day.
func now() time.Time { return time.Date(2026, 11, 23, 15, 2, 0, 0, time.UTC) }

// state is one of the seven words, as layer.State is.
type state struct{ is, word string }

func (s state) Is() string     { return s.is }
func (s state) String() string { return s.word }

var (
	safe     = state{"safe", "Safe"}
	checking = state{"checking", "Checking"}
	needs    = state{"needs", "Needs you"}
	seven    = []state{safe, needs, {"urgent", "Urgent"}, checking, {"unknown", "Not known"}, {"word", "Your word"}, {"off", "Off, on purpose"}}
)

// Cookies that the fake sessions know.
const (
	ownerCookie     = "owner-session-cookie"
	clinicianCookie = "clinician-session-cookie"
)

type personKey struct{}

// sessions knows two people, and how often their keys were put away.
type sessions struct{ closed int }

func (s *sessions) Enter(_ http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	c, err := r.Cookie(web.SessionCookie)
	if err != nil {
		return nil, nil, web.ErrNoSession
	}
	switch c.Value {
	case ownerCookie, clinicianCookie:
		return context.WithValue(r.Context(), personKey{}, c.Value), func() { s.closed++ }, nil
	case "torn":
		return nil, nil, errors.New("ring 7 does not open")
	}
	return nil, nil, web.ErrNoSession
}

func (s *sessions) IsOwner(ctx context.Context) bool { return ctx.Value(personKey{}) == ownerCookie }

func (s *sessions) Person(ctx context.Context) string {
	if s.IsOwner(ctx) {
		return "Maya Lindqvist"
	}
	return "Tom Rivera"
}

// door is a layer.Refusal without the layer.
type door struct{ minutes int }

func (d door) Error() string { return "closed" }
func (d door) Refused() (why, fix string, minutes int, override string) {
	return "This laptop may not open the vault yet. Its disk is not encrypted.", "Open Settings, then Privacy & security, then Device encryption. Switch it on and come back here.", d.minutes, "/override"
}

type place struct {
	Name  string
	State state
	Seen  time.Time
}

type partsPage struct {
	Sentence struct {
		State       state
		Text, Proof string
	}
	Places         []place
	Words          []state
	Safe, Checking state
	Hostile        string
	Old, Never     time.Time
	Chart          web.Bars
}

func fullParts() partsPage {
	p := partsPage{Words: seven, Safe: safe, Checking: checking, Hostile: `Ben's <b>laptop</b> & "phone" {{.}}`, Old: now().AddDate(0, 0, -3)}
	p.Sentence.State, p.Sentence.Text = needs, "Your records are safe. Two small things wait for you."
	p.Sentence.Proof = "Last proof: a thief’s copy of everything opened 0 of 1,284 records, today 6:10 am."
	for i, name := range []string{"Records", "Devices", "People", "Backups", "Web, mail"} {
		p.Places = append(p.Places, place{name, seven[i], now().Add(-time.Duration(i*i*i) * time.Hour)})
	}
	p.Chart = web.Bars{Title: "28 backups, 27 opened and compared, 1 not known on November 12", Caption: "Records opened from each night’s backup", From: "Oct 26", To: "Nov 22", Of: "Night", Unit: "Records"}
	for i := range 28 {
		p.Chart.Bars = append(p.Chart.Bars, web.Bar{Name: now().AddDate(0, 0, i-28).Format("Jan 2"), Value: float64(1200 + 3*i), Gap: i == 17})
	}
	return p
}

// room is a house with one room that has everything.
type room struct {
	*web.Mux
	sessions *sessions
	log      *strings.Builder
	kept     []string // what POST /notes kept
	rounds   int      // how often GET /going was asked
}

type searchPage struct {
	Q     string
	Names []string
}

func newRoom(t testing.TB, madeUp bool) *room {
	t.Helper()
	return newIdleRoom(t, madeUp, 10*time.Minute)
}

func newIdleRoom(t testing.TB, madeUp bool, lockAfter time.Duration) *room {
	t.Helper()
	m := &room{sessions: &sessions{}, log: &strings.Builder{}}
	m.Mux = web.NewMux(web.Config{
		Practice:  func() string { return "Harbor Counseling" },
		MadeUp:    madeUp,
		LockAfter: lockAfter,
		Log:       slog.New(slog.NewTextHandler(m.log, nil)),
		Now:       now,
	})
	m.SetSessions(m.sessions)
	m.Nav(web.NavItem{Key: "proof", Text: "Proof", Path: "/proof"})
	m.Nav(web.NavItem{Key: "home", Text: "Home", Path: "/"})
	m.Nav(web.NavItem{Key: "patients", Text: "Patients", Path: "/patients"})
	pages := web.MustPages(os.DirFS("testdata/room"))
	pages.Now = now
	m.mount(pages)
	return m
}

func (m *room) mount(pages *web.Pages) {
	show := func(name string, v web.View) web.Handler {
		return func(w http.ResponseWriter, r *http.Request) error { return pages.Show(w, r, name, v) }
	}
	fails := func(err error) web.Handler {
		return func(http.ResponseWriter, *http.Request) error { return err }
	}
	parts := web.View{Title: "Home", Nav: "home", Data: fullParts()}
	m.Handle("GET /{$}", show("parts", parts), web.Signed)
	m.Handle("GET /parts", show("parts", parts), web.Signed)
	m.Handle("GET /open", show("step", web.View{Title: "Open"}), web.Anyone)
	m.Handle("GET /owners", show("step", web.View{Title: "Owners"}), web.Owner)
	m.Handle("GET /unlock", show("cover", web.View{Title: "Closed", Bare: true, Class: "middle"}), web.Anyone)
	m.Handle("GET /step", show("step", web.View{Title: "A second way in", Bare: true, Step: "3 of 8, about 6 minutes left"}), web.Anyone)
	m.Handle("GET /patients", m.search(pages), web.Signed)
	m.Handle("POST /patients", m.search(pages), web.Signed)
	m.Handle("GET /patients/{name}", show("step", web.View{Title: "Patient"}), web.Signed)
	m.Handle("POST /notes", m.keep, web.Signed)
	m.Handle("POST /open", m.keep, web.Anyone)
	m.Handle("POST /lock", m.lock, web.Signed)
	m.Handle("GET /going", m.going(pages), web.Signed)
	m.Handle("POST /owners", m.keep, web.Owner)
	m.Handle("POST /files", web.Big(8<<20, m.receive), web.Signed)
	m.Handle("GET /refused", fails(door{4}), web.Signed)
	m.Handle("GET /error", fails(&web.Error{Status: http.StatusConflict, Text: "This device is still being checked.", Fix: "Try again in a minute.", Back: "/parts", Err: errors.New("device 9 is busy")}), web.Signed)
	m.Handle("GET /broken/{secret}", fails(errors.New(`read row: parsing "canary-of-an-error": no`)), web.Anyone)
	m.Handle("GET /panic", func(http.ResponseWriter, *http.Request) error { panic("canary-of-a-panic") }, web.Anyone)
	m.Handle("GET /half", func(w http.ResponseWriter, _ *http.Request) error {
		if _, err := io.WriteString(w, "half a"); err != nil {
			return err
		}
		return errors.New("disk went away")
	}, web.Anyone)
}

func (m *room) search(pages *web.Pages) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		page := searchPage{Q: r.PostFormValue("q")}
		for _, name := range []string{"Aldridge", "Baldwin", "Falding", "McDald", "Zimmer"} {
			if strings.Contains(strings.ToLower(name), strings.ToLower(page.Q)) {
				page.Names = append(page.Names, name)
			}
		}
		return pages.Show(w, r, "search", web.View{Title: "Patients", Nav: "patients", Data: page})
	}
}

func (m *room) keep(w http.ResponseWriter, r *http.Request) error {
	m.kept = append(m.kept, r.PostFormValue("note"))
	return web.SeeOther(w, r, "/parts")
}

func (m *room) lock(w http.ResponseWriter, r *http.Request) error {
	m.kept = append(m.kept, "locked")
	return web.SeeOther(w, r, "/unlock")
}

// going is something that takes three looks.
func (m *room) going(pages *web.Pages) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		m.rounds++
		return pages.Show(w, r, "going", web.View{Title: "Going on", Data: struct {
			Rounds int
			At     time.Time
		}{m.rounds, now()}})
	}
}

// receive reads an upload as a stream.
func (m *room) receive(w http.ResponseWriter, r *http.Request) error {
	parts, err := web.Parts(r)
	if err != nil {
		return err
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return web.SeeOther(w, r, "/parts")
		}
		if err != nil {
			return err
		}
		b, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		m.kept = append(m.kept, part.FormName()+"="+string(b))
	}
}
