package training

import (
	"net/http"
	"time"

	"quietroom/ground/web"
	"quietroom/rooms/training/lure"
)

// minePage is what mine.html gets: a person's own, shown to that person alone.
type minePage struct {
	Sent, Reported int
	Rows           []mineRow
}

type mineRow struct {
	lure.Lure
	At      time.Time
	What    string
	Telling []lure.Cue
}

func (t *Training) showMine(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	me, err := t.me(ctx)
	if err != nil {
		return err
	}
	sent, err := t.messages(ctx, `WHERE person = $1 AND state = 'sent' ORDER BY sent DESC LIMIT 13`, string(me.ID))
	if err != nil {
		return err
	}
	acts, err := t.happened(ctx, `m.person = $1`, string(me.ID))
	if err != nil {
		return err
	}
	what := map[string]string{}
	for _, a := range acts {
		if a.What == "reported" || what[a.Message] == "" {
			what[a.Message] = a.What
		}
	}
	p := minePage{Sent: len(sent)}
	for _, m := range sent {
		if what[m.ID] == "" && t.Now().Sub(m.Sent) < 7*24*time.Hour {
			continue // it may still be in the mailbox: do not give it away
		}
		l, ok := t.lure(m.Lure)
		if !ok {
			continue
		}
		if what[m.ID] == "reported" {
			p.Reported++
		}
		p.Rows = append(p.Rows, mineRow{l, m.Sent, map[string]string{"reported": "You reported it", "held": "Your passkey did not offer itself", "went-on": "You went on", "": "You left it alone"}[what[m.ID]], l.Telling})
	}
	return t.pages.Show(w, r, "mine", web.View{Title: "Practice messages to me", Data: p})
}
