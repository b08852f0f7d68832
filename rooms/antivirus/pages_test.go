package antivirus

import (
	"github.com/chromedp/chromedp"

	"context"
	"flag"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/ground/web/webtest"
	"quietroom/layer"
	"quietroom/rooms/antivirus/clamav"
)

var pictures = flag.String("pictures", "", "a folder for pictures of the pages")

// signedIn is a session of one person.
type signedIn struct{ id.Actor }

func (s signedIn) Enter(_ http.ResponseWriter, r *http.Request) (context.Context, func(), error) {
	return id.With(r.Context(), s.Actor), func() {}, nil
}
func (signedIn) IsOwner(context.Context) bool  { return true }
func (signedIn) Person(context.Context) string { return "Jo Rivera" }

func (h *house) mux(ctx context.Context) *web.Mux {
	m := web.NewMux(web.Config{Practice: func() string { return "Harbor Counseling" }, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return h.now }})
	m.SetSessions(signedIn{id.From(ctx)})
	m.Script("passkey.js", []byte("export {}"))
	h.Layer().Mount(m)
	return m
}

func TestThePagesInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Chromium")
	}
	h := newHouse(t)
	owner, jo := h.person(true), h.person(false)
	h.must(h.check(owner))
	p := id.New[id.Patient]()
	in := layer.Incoming{From: "upload", Patient: p}
	h.answer = clamav.Answer{Kind: clamav.Found, Name: "Win.Trojan.Agent-36196-0"}
	bad := h.scan(jo, in, "bad")
	alone := h.scan(jo, in, "isolated")
	h.must(h.release(jo, bad.Finding))
	h.answer = clamav.Answer{Why: clamav.Encrypted}
	locked := h.scan(jo, in, "locked")
	in.Taken = true
	h.scan(jo, in, "taken")
	h.Devices = func(context.Context) ([]Device, error) {
		return []Device{
			{"Dana’s Mac", layer.Safe, "XProtect runs, with definitions of November 22. Reported 5 minutes ago."},
			{"Tom’s laptop", layer.NotKnown, "It has not reported for 9 days, so its antivirus is not known."},
		}, nil
	}
	url := webtest.Serve(t, h.mux(owner))
	b := webtest.Browser(t)
	for name, path := range map[string]string{"antivirus": "/antivirus", "asked": pageOf(bad.Finding), "isolated": pageOf(alone.Finding), "locked": pageOf(locked.Finding)} {
		b.EveryWay(url+path, name, *pictures)
	}
	h.engine.state = clamav.State{Err: clamav.ErrMissing}
	h.must(h.check(owner))
	b.EveryWay(url+"/antivirus", "missing", *pictures)
	b.Go(url + pageOf(locked.Finding))
	b.Click("button[value=take]")
	const said = "!document.querySelector('button[value=take]') && document.querySelector('.proof')?.textContent || ''"
	text := ""
	for range 250 { // while a page goes away there is nobody to ask
		if text, _ = chromedp.Run(b.Context(), chromedp.Evaluate[string](said)); text != "" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !strings.Contains(text, "Taken in as it is by") {
		t.Fatalf("the page says %q", text)
	}
	if !h.free(locked.Finding) {
		t.Fatal("a person took a file in, and it is not in")
	}
	b.Calm()
}
