package training

import (
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"quietroom/ground/web"
	"quietroom/rooms/training/human"
	"quietroom/rooms/training/lure"
)

// A page behind a practice message's link is given out with a visit: a sealed
// note of when, for which message and to which browser. Nothing is written when
// a page is fetched; only an act is.

// visit is what such a note says.
type visit struct {
	at    time.Time
	agent string // keyed hash of the User-Agent
}

// visitFor makes a note for one page.
func (t *Training) visitFor(token string, r *http.Request) string {
	plain := binary.BigEndian.AppendUint64(nil, uint64(t.Now().UnixMilli()))
	plain = append(plain, t.agentTag(r)...)
	return hex.EncodeToString(t.Key.Seal(plain, t.slot("training-visit", token)))
}

func (t *Training) agentTag(r *http.Request) string { return t.tag("agent", r.UserAgent()) }

// visitFrom reads a note; the zero visit if it is none of this message's.
func (t *Training) visitFrom(token, note string) (v visit) {
	if len(note) > 1000 {
		return v
	}
	box, err := hex.DecodeString(note)
	if err != nil {
		return v
	}
	plain, err := t.Key.Open(box, t.slot("training-visit", token))
	if err != nil || len(plain) < 8 {
		return v
	}
	return visit{moment(int64(binary.BigEndian.Uint64(plain))), string(plain[8:])}
}

const visitCookie = "qr-page"

var errNoPage = &web.Error{Status: http.StatusNotFound, Text: "There is no page here.", Fix: "If a message brought you here, report it: Quietroom, Learn, Report a message."}

// landingPage is what landing.html gets. It never has a field for a password.
type landingPage struct {
	lure.Lure
	Token, Visit string
}

// land shows the page behind a link, to whoever asks. It counts nothing as a
// person's: scanners, previews and other people's tools come here all day.
func (t *Training) land(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	m, ok, err := t.byToken(r.Context(), token)
	if err != nil {
		return err
	}
	l, known := t.lure(m.Lure)
	if !ok || !known {
		return errNoPage
	}
	why := human.Fetch(r.Method, r.Header)
	t.count(m.Month, why)
	if t.clicksOfGets && r.Method == http.MethodGet { // sabotage, see drill.go
		if err := t.act(r.Context(), m.ID, outcome(l), human.People); err != nil {
			return err
		}
	}
	note := t.visitFor(token, r)
	http.SetCookie(w, &http.Cookie{Name: visitCookie, Value: "1", Path: "/m/" + token, HttpOnly: true, Secure: strings.HasPrefix(t.Origin, "https:"), SameSite: http.SameSiteLaxMode, MaxAge: int(actsFor / time.Second)})
	return t.pages.Show(w, r, "landing", web.View{Title: l.Headline, Bare: true, Class: "middle", Scripts: []string{"act.js"}, Data: landingPage{l, token, note}})
}

// outcome is what an act on the page means: with a passkey the page gets nothing.
func outcome(l lure.Lure) string {
	if l.Passkey {
		return "held"
	}
	return "went-on"
}

// press is an act on the page, of a person or of a program. Whoever it was sees
// the same: the cues of this message.
func (t *Training) press(w http.ResponseWriter, r *http.Request) error {
	ctx, token := r.Context(), r.PathValue("token")
	m, ok, err := t.byToken(ctx, token)
	if err != nil {
		return err
	}
	l, known := t.lure(m.Lure)
	if !ok || !known {
		return errNoPage
	}
	if err := r.ParseForm(); err != nil {
		return &web.Error{Status: http.StatusBadRequest, Text: "The form arrived torn, so nothing was changed.", Fix: "Send it again."}
	}
	why, err := t.judge(r, token, m)
	if err != nil {
		return err
	}
	what := outcome(l)
	if why != human.People {
		what = "automatic"
	}
	if err := t.act(ctx, m.ID, what, why); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/m/"+url.PathEscape(token)+"/cues")
}

// judge asks package human, and adds what only this room knows.
func (t *Training) judge(r *http.Request, token string, m practice) (human.Why, error) {
	ctx := r.Context()
	form := r.PostForm
	v := t.visitFrom(token, form.Get("page"))
	a := human.Act{At: t.Now(), Given: v.at, Header: r.Header, Secure: strings.HasPrefix(t.Origin, "https:") || local(r.Host), Trail: form.Get("how")}
	if v.agent == t.agentTag(r) {
		a.Agent = r.UserAgent()
	} else {
		a.Agent = "\x00another"
	}
	_, err := r.Cookie(visitCookie)
	a.Cookie = err == nil
	a.Trap = form.Get("go") != "yes" && form.Has("go") || form.Has("all") || form.Get("note") != ""
	if a.Delivered, err = t.delivered(ctx, m); err != nil {
		return "", err
	}
	if !v.at.IsZero() {
		fresh, err := t.use(ctx, t.tag("visit", form.Get("page")))
		if err != nil {
			return "", err
		}
		a.Used = !fresh
	}
	if !form.Has("go") { // a form that a script sent names no button
		return human.Scripted, nil
	}
	why := human.Judge(a)
	if why != human.People {
		return why, nil
	}
	told, err := t.reported(ctx, m.ID)
	if err != nil {
		return "", err
	}
	if !told.IsZero() || a.At.Sub(a.Delivered) > actsFor {
		return human.Reported, nil
	}
	return human.People, nil
}

func local(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "localhost:") || strings.HasPrefix(host, "127.")
}

// trap is a link that no person sees: whoever follows it follows everything.
// Nothing is counted of it but that.
func (t *Training) trap(w http.ResponseWriter, r *http.Request) error {
	m, ok, err := t.byToken(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	if ok {
		t.count(m.Month, human.Trap)
	}
	return errNoPage
}

// cuesPage is what cues.html gets.
type cuesPage struct {
	lure.Lure
	Level string
}

var levelWords = map[lure.Level]string{lure.Least: "one of the easier ones", lure.Moderately: "of middling difficulty", lure.Very: "one of the hard ones"}

// cues is the calm screen after a miss: three signs of that very message.
func (t *Training) cues(w http.ResponseWriter, r *http.Request) error {
	m, ok, err := t.byToken(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	l, known := t.lure(m.Lure)
	if !ok || !known {
		return errNoPage
	}
	l.Subject, _, _ = l.Fill("", t.PracticeName(), "")
	return t.pages.Show(w, r, "cues", web.View{Title: "A practice message", Bare: true, Step: "Half a minute", Data: cuesPage{l, levelWords[m.Level]}})
}
