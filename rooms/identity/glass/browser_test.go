package glass_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/ground/web/webtest"
)

// pictures is where the tests leave screenshots for a person to look at, if set.
var pictures = os.Getenv("QUIETROOM_PICTURES")

// enter signs somebody in in a tab, with a passkey of the tab's own.
func (h *house) enter(tab *webtest.Tab, who string) {
	h.t.Helper()
	tab.Go(h.origin + h.identity.DemoLink(who, h.codes[who]))
	tab.Click("main button")
	tab.Arrive("/patients")
	tab.Go(h.origin + "/doors")
	before := h.doors(who)
	tab.Click("form[data-act=add-passkey] button.first")
	h.until("one more way in", func() bool { return h.doors(who) > before })
	tab.Go(h.origin + "/doors")
	tab.Click("form[action='/lock'] button")
	tab.Arrive("/unlock")
	tab.Click("button.first")
	tab.Arrive("/patients")
}

func (h *house) doors(who string) int {
	roster, err := h.identity.Roster(h.t.Context())
	h.must(err)
	p, _ := roster.Person(string(h.people[who]))
	return len(p.Doors)
}

func (h *house) until(what string, ready func() bool) {
	h.t.Helper()
	for range 400 {
		if ready() {
			time.Sleep(500 * time.Millisecond) // the page goes on by itself
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	h.t.Fatalf("waited for %s in vain", what)
}

// The whole path as people walk it: an owner turns it on, a clinician breaks the
// glass with a passkey, reads, and ends it, and the owner reviews it.
func TestTheWholePathInABrowser(t *testing.T) {
	tab := webtest.Browser(t)
	tab.Dark(false) // and without motion: a click during a transition goes nowhere
	tab.Authenticator(webtest.Abilities{PRF: true})
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	h := newHouse(t, db)
	anas := webtest.Browser(t) // a computer of her own: a passkey is asked for in the window in front
	anas.Dark(false)
	anas.Authenticator(webtest.Abilities{PRF: true})
	h.enter(anas, "ana")
	anas.EveryWay(h.origin+"/glass", "glass-off", pictures)
	anas.Dark(false)
	anas.Click("form[data-tap=make-glass] button")
	h.until("the pair", func() bool { return len(h.facts("glass.made")) == 1 })
	h.get("sam", "/patients") // whose session seals Sam's key
	h.get("jo", "/patients")

	h.enter(tab, "jo")
	chart := h.origin + "/patients/" + string(h.mara)
	tab.EveryWay(chart, "glass-chart-closed", pictures)
	tab.Dark(false)
	tab.Click("a[href^='/glass/break/']")
	tab.Arrive("/glass/break/" + string(h.mara))
	tab.EveryWay(h.origin+"/glass/break/"+string(h.mara), "glass-break", pictures)
	tab.Dark(false)
	tab.Click("form[data-tap=break-glass] button.first") // without a reason the browser itself asks for it
	if n := len(h.facts("glass.broken")); n != 0 || !strings.HasPrefix(tab.Path(), "/glass/break/") {
		t.Fatalf("broken %d times without a reason", n)
	}
	tab.Click("input[value=unreached]")
	tab.Type("#words", "Mara called, and Sam is on a plane until tonight.")
	tab.Click("form[data-tap=break-glass] button.first")
	tab.Arrive("/patients/" + string(h.mara))
	if got := tab.See("#glass"); !strings.Contains(got, "1 hour left") {
		t.Errorf("the open chart says %q", got)
	}
	h.clock.pass(3 * time.Minute)
	tab.EveryWay(chart, "glass-chart-open", pictures)
	tab.EveryWay(chart+"/all", "glass-chart-all", pictures)
	tab.Dark(false)
	tab.Go(chart)
	tab.Click("#notes ~ div a, section[aria-labelledby=notes] a")
	if words := tab.See("main blockquote"); !strings.Contains(words, h.secretInTheChart) {
		t.Errorf("the note says %q", words)
	}
	tab.Go(chart + "/looked")
	if words := tab.See("main table"); !strings.Contains(words, "roke the glass") {
		t.Errorf("who looked says %q", words)
	}
	tab.Go(chart)
	tab.Click("form[action^='/glass/end/'] button")
	h.until("its end", func() bool { return len(h.facts("glass.ended")) == 1 })
	tab.Go(chart)
	if n := webtest.Eval[int](tab, `document.querySelectorAll('#glass').length`); n != 0 || h.reads("jo", h.mara) {
		t.Error("it was ended, and the chart is open")
	}
	tab.Calm()

	// the server's own answer to a form that was sent without a reason
	if status, err := h.browser("jo").Post(t.Context(), "/glass/break/"+string(h.mara), url.Values{}); err != nil || status != 422 {
		t.Errorf("an empty form answers %d, %v", status, err)
	}

	h.breaks("jo", h.noor) // one that is open while the owner looks
	anas.EveryWay(h.origin+"/glass", "glass-waiting", pictures)
	broken := h.facts("glass.broken")
	anas.EveryWay(h.origin+"/glass/review/"+broken[1].Ref, "glass-review-open", pictures)
	at := "/glass/review/" + broken[0].Ref
	anas.EveryWay(h.origin+at, "glass-review", pictures)
	anas.Dark(false)
	anas.Click("input[value=in-order]")
	anas.Type("#words", "Talked with Jo and Sam.")
	anas.Click("form[action='" + at + "'] button.first")
	h.until("the review", func() bool { return len(h.facts("glass.reviewed")) == 1 })
	anas.EveryWay(h.origin+at, "glass-reviewed", pictures)
	anas.EveryWay(h.origin+"/glass", "glass-on", pictures)
	tab.EveryWay(h.origin+"/glass", "glass-jo", pictures)
	h.must(h.half.DropGlassHalf())
	anas.EveryWay(h.origin+"/glass", "glass-no-half", pictures)
	tab.EveryWay(h.origin+"/glass/break/"+string(id.New[id.Patient]()), "glass-nobody", pictures)
	h.must(h.glass.Off(t.Context(), h.ana))
	tab.EveryWay(h.origin+"/glass/break/"+string(h.mara), "glass-refused", pictures)
}
