package training

import (
	"net/http"
	"net/url"
	"strings"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/training/lure"
)

// practicePage is what practice.html gets.
type practicePage struct {
	Said    layer.Evidence
	On      bool
	Paused  bool
	Address string
	Figures figures
	Lures   []lureView
}

type lureView struct {
	lure.Lure
	Level         string
	Subject, Text string
}

func (t *Training) showPractice(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	s, err := t.settings(ctx)
	if err != nil {
		return err
	}
	p := practicePage{On: s.Phish, Paused: s.Paused != "", Address: s.Address}
	if p.Said, err = t.practiceEvidence(ctx, s); err != nil {
		return err
	}
	p.Said = p.Said.At(t.Now())
	if p.Figures, err = t.figures(ctx, s); err != nil {
		return err
	}
	for _, l := range t.lures {
		v := lureView{Lure: l, Level: levelWords[l.Level()]}
		v.Subject, v.Text, _ = l.Fill("Jo", t.PracticeName(), t.Origin+"/m/…")
		p.Lures = append(p.Lures, v)
	}
	return t.pages.Show(w, r, "practice", web.View{Title: "Practice messages", Data: p})
}

// setPractice turns practice messages on or off, or lets them go on after a refusal.
func (t *Training) setPractice(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	s, err := t.settings(ctx)
	if err != nil {
		return err
	}
	kind := ""
	switch do := r.PostFormValue("do"); do {
	case "on":
		address, err := linkAddress(r.PostFormValue("address"))
		if err != nil {
			return err
		}
		s.Phish, s.Begun, s.By, s.Address, s.Paused, kind = true, t.Now(), id.From(ctx).Person, address, "", "training.practice-on"
	case "off":
		s.Phish, kind = false, "training.practice-off"
	case "again":
		s.Paused, kind = "", "training.practice-on"
	default:
		return errUnknown
	}
	if err := t.keep(ctx, s, ledger.Fact{Kind: kind}); err != nil {
		return err
	}
	if !s.Phish {
		if err := t.stopPlanned(ctx); err != nil {
			return err
		}
	}
	t.wake()
	return web.SeeOther(w, r, "/training/practice")
}

// linkAddress reads another name of this house, for links.
func linkAddress(text string) (string, error) {
	text = strings.TrimSuffix(strings.TrimSpace(text), "/")
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" || len(text) > 200 {
		return "", wrong("Another address for links begins with https:// and is a name that leads to this server.", "Leave it empty to use the house’s own.", "/training/practice")
	}
	return text, nil
}
