package training

import (
	"context"
	"fmt"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/rooms/training/human"
)

// few is the size of a group below which nothing of it is told apart: a figure of
// four people is a figure of each.
const few = 5

// figures are the practice's, over a year. Nothing in them names a person.
type figures struct {
	Months   []monthFigures
	Sent     int
	Reported int
	WentOn   int
	Held     int
	Enough   bool // people, so that anything may be shown
	Before   int  // messages reported before anybody in that month had gone on
	Waves    int  // months in which anything was reported or followed
	Quickest time.Duration
	Fetches  []fetchFigures
	Chart    web.Bars
	Praise   string
	Do       string
}

type monthFigures struct {
	Month                        string
	Sent, Reported, WentOn, Held int
	First                        time.Duration // from the first message to the first report; 0: none
}

type fetchFigures struct {
	Why   string
	Times int
}

// happened is one act of a person.
type happened struct {
	Month   string
	Person  id.Person
	Message string
	What    string
	At      time.Time
	Sent    time.Time
}

func (t *Training) happened(ctx context.Context, where string, args ...any) (all []happened, err error) {
	rows, err := t.DB.QueryContext(ctx, `SELECT m.month, m.person, m.message, a.what, a.first, m.sent FROM training_acts AS a JOIN training_messages AS m ON m.message = a.message
		WHERE a.what <> 'automatic' AND `+where+` ORDER BY a.first`, args...)
	if err != nil {
		return nil, fmt.Errorf("read what came of practice messages: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var h happened
		var at, sent int64
		if err := rows.Scan(&h.Month, &h.Person, &h.Message, &h.What, &at, &sent); err != nil {
			return nil, fmt.Errorf("read what came of practice messages: %w", err)
		}
		h.At, h.Sent = moment(at), moment(sent)
		all = append(all, h)
	}
	return all, rows.Err()
}

// figures counts the last twelve months.
func (t *Training) figures(ctx context.Context, s settings) (f figures, err error) {
	z := zone(s.Zone)
	since := monthOf(t.Now().AddDate(0, -11, 0), z)
	sent, err := t.messages(ctx, `WHERE state = 'sent' AND month >= $1 ORDER BY sent`, since)
	if err != nil {
		return f, err
	}
	acts, err := t.happened(ctx, `m.month >= $1`, since)
	if err != nil {
		return f, err
	}
	by := map[string]*monthFigures{}
	who := map[id.Person]bool{}
	for _, m := range sent {
		if by[m.Month] == nil {
			by[m.Month] = &monthFigures{Month: m.Month}
		}
		by[m.Month].Sent++
		f.Sent++
		who[m.Person] = true
	}
	f.Enough = len(who) >= few
	firstMiss, firstReport := map[string]time.Time{}, map[string]time.Time{}
	for _, h := range acts {
		m := by[h.Month]
		if m == nil {
			continue
		}
		switch h.What {
		case "reported":
			m.Reported++
			f.Reported++
			if took := h.At.Sub(h.Sent); !h.Sent.IsZero() && took > 0 && (m.First == 0 || took < m.First) {
				m.First = took
			}
			if firstReport[h.Month].IsZero() {
				firstReport[h.Month] = h.At
			}
		case "went-on":
			m.WentOn++
			f.WentOn++
			if firstMiss[h.Month].IsZero() {
				firstMiss[h.Month] = h.At
			}
		case "held":
			m.Held++
			f.Held++
		}
	}
	for at := t.Now().In(z).AddDate(0, -11, 0); !at.After(t.Now()); at = at.AddDate(0, 1, 0) {
		name := at.Format("2006-01")
		if m := by[name]; m != nil {
			f.Months = append(f.Months, *m)
		}
	}
	for name, m := range by {
		report, miss := firstReport[name], firstMiss[name]
		if report.IsZero() && miss.IsZero() {
			continue
		}
		f.Waves++
		if !report.IsZero() && (miss.IsZero() || report.Before(miss)) {
			f.Before++
		}
		if m.First > 0 && (f.Quickest == 0 || m.First < f.Quickest) {
			f.Quickest = m.First
		}
	}
	if f.Fetches, err = t.automatic(ctx, since); err != nil {
		return f, err
	}
	f.words()
	if !f.Enough {
		f.Months, f.Chart = nil, web.Bars{}
	}
	return f, nil
}

// words says what to praise and what to do.
func (f *figures) words() {
	f.Chart = web.Bars{Caption: "Practice messages reported, by month", Of: "Month", Unit: "Reported"}
	for _, m := range f.Months {
		f.Chart.Bars = append(f.Chart.Bars, web.Bar{Name: m.Month, Value: float64(m.Reported)})
	}
	if n := len(f.Months); n > 0 {
		f.Chart.From, f.Chart.To = f.Months[0].Month, f.Months[n-1].Month
	}
	f.Chart.Title = fmt.Sprintf("%d of %d practice messages were reported in %d months", f.Reported, f.Sent, len(f.Months))
	switch {
	case f.Sent == 0:
		f.Praise = "There is nothing to tell yet."
		f.Do = "Say to everybody that practice messages may come, and that reporting is what counts."
	case !f.Enough:
		f.Praise = "Fewer than five people got messages, so nothing is told apart here: it would be somebody's own."
		f.Do = "Ask in the next meeting how reporting goes. Each person sees their own under Learn."
	case f.Reported == 0:
		f.Praise = "Messages arrived, and work went on."
		f.Do = "Nobody has reported one yet. Show in the next meeting how it is done: one minute."
	case f.Before*2 >= f.Waves:
		f.Praise = fmt.Sprintf("In %d of %d months somebody reported before anybody went on. Say thank you.", f.Before, f.Waves)
		f.Do = "Nothing. Let it run."
	default:
		f.Praise = fmt.Sprintf("%d messages were reported. Say thank you.", f.Reported)
		f.Do = "Reports come after the first press more often than before. Ask people to report at once, also if unsure."
	}
}

// automatic counts what programs did, since a month.
func (t *Training) automatic(ctx context.Context, since string) (all []fetchFigures, err error) {
	rows, err := t.DB.QueryContext(ctx, `SELECT why, SUM(times) FROM (SELECT why, times FROM training_fetches WHERE month >= $1
		UNION ALL SELECT a.why, a.times FROM training_acts AS a JOIN training_messages AS m ON m.message = a.message WHERE a.what = 'automatic' AND m.month >= $1) AS every GROUP BY why ORDER BY 2 DESC, why`, since)
	if err != nil {
		return nil, fmt.Errorf("read what programs fetched: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var f fetchFigures
		if err := rows.Scan(&f.Why, &f.Times); err != nil {
			return nil, fmt.Errorf("read what programs fetched: %w", err)
		}
		f.Why = whyWords[human.Why(f.Why)]
		all = append(all, f)
	}
	return all, rows.Err()
}

var whyWords = map[human.Why]string{
	human.NoAct: "A page was fetched, and nobody did anything on it", human.Head: "Only asked whether the page is there", human.Prefetch: "Fetched in advance by a browser",
	human.Program: "A program that says so: a preview, a scanner", human.Another: "Another browser than the one that got the page", human.Replayed: "A page that was used before, or is forged",
	human.Trap: "Pressed what no person sees", human.Delivered: "Seconds after the message arrived", human.Quick: "Sooner than anybody can read", human.Scripted: "No hand, key or voice was behind it",
	human.Driven: "A browser that a program drives", human.Unseen: "On no screen", human.Unlike: "Says it is a browser, and asks as none does", human.Reported: "After the message had been reported",
}

// stopPlanned takes back what is not sent yet.
func (t *Training) stopPlanned(ctx context.Context) error {
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		return tx.Send(ctx, `DELETE FROM training_messages WHERE state = 'planned'`)
	})
}

// QuickestWords is the quickest first report.
func (f figures) QuickestWords() string {
	if f.Quickest < 48*time.Hour {
		return web.Minutes(max(1, int(f.Quickest/time.Minute)))
	}
	return fmt.Sprintf("%d days", int(f.Quickest/(24*time.Hour)))
}
