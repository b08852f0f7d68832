package training

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/rooms/training/apart"
	"quietroom/rooms/training/lesson"
)

// A lesson from what happened here: two minutes, this week, without names. Its
// words are the program's; of what happened it holds fixed sentences only, so
// that neither a patient nor a colleague can get into it.

// happenings are what a lesson can be made of, besides a report.
var happenings = map[string]struct{ title, what, question, right, wrong string }{
	"near-miss": {"A near miss, this week", "Something nearly went wrong here: a message that was almost sent to the wrong person, a page that was almost believed, a call that was almost answered. It was noticed in time, **and somebody said so**. That is why you read this.",
		"You notice that you nearly made a mistake. Nothing happened. What is best?", "Say it | Next time it may be somebody else, who does not notice.", "Keep it to myself, nothing happened | What nearly happened to one happens to another."},
	"device": {"A computer that needed care", "A computer of the practice was not as it should be this week: not encrypted, long not updated, or without its guard. It was found by the daily look, and put right. Nobody did anything bad; computers drift.",
		"Your computer says that it needs a restart for updates. When?", "Today, before I go home | It takes minutes, and closes holes that are known to others already.", "When I have time next month | Holes in old programs are the ones that are used."},
	"tracker": {"Somebody new listened on our web site", "The look at our own web site found a company that was told about visitors and that nobody here had invited. It was taken off. It had come with a change of the site, as they mostly do.",
		"You are asked to add a widget to the web site. What first?", "Ask what it sends, and to whom | Three minutes of asking are less than letters to all visitors.", "Add it and look later | Later is after the first visitors were told about."},
}

// hereText writes such a lesson. Signs are fixed sentences.
func hereText(kind string, signs []string, at time.Time) (text string) {
	h, ok := happenings[kind]
	if !ok {
		h.title, h.what = "A false message, this week", "A real false message came to us this week. **A colleague reported it**, and so the others could be warned. Thank you."
		h.question, h.right, h.wrong = "The same message lies in your mailbox as well. What do you do?", "Report it, and press nothing in it | Each report shows how far it went.", "Delete it, they know already | Then nobody knows that you got it too, nor whether you pressed something."
	}
	var b strings.Builder
	fmt.Fprintf(&b, "---\ntitle: %s\nversion: 1\nminutes: 2\nfor: everyone\nwhen: year\nreviewed: %s\nagain: %s\nsources:\n- What happened here, %s\n- CISA, Secure Our World: Recognize and Report Phishing, https://www.cisa.gov/secure-our-world/recognize-and-report-phishing\n---\n", h.title, at.Format(time.DateOnly), at.AddDate(1, 0, 0).Format(time.DateOnly), at.Format("January 2006"))
	fmt.Fprintf(&b, "# What happened\n%s\n\n", h.what)
	if len(signs) > 0 {
		b.WriteString("# How it could be told\nThese signs stood in it:\n\n")
		for _, s := range signs {
			b.WriteString("- " + s + "\n")
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "# And next time\nIt will look different. What stays the same: say it at once, also if you are unsure, also if you pressed something.\n\n? %s\n- [ ] %s\n- [x] %s\n", h.question, h.wrong, h.right)
	return b.String()
}

// signsOf are fixed sentences about a reported message. Nothing of its words is
// repeated: they may name somebody.
func signsOf(m *apart.Mail) (signs []string) {
	other, form, picture := false, false, false
	for _, l := range m.Links {
		other, form, picture = other || l.Other, form || l.Kind == "form", picture || l.Kind == "picture"
	}
	risky, twice := false, false
	for _, f := range m.Files {
		risky, twice = risky || f.Risky, twice || f.Twice
	}
	failed := strings.Contains(strings.Join(m.Auth, " "), "fail")
	_, reply, _ := strings.Cut(strings.Trim(m.ReplyTo, "<> "), "@")
	for _, s := range []struct {
		is   bool
		text string
	}{
		{other, "The words of a link named one address, and it led to another one."},
		{failed, "The receiving mail server noted that the sender could not prove to be who the message says."},
		{reply != "" && !strings.HasPrefix(reply, m.Domain), "An answer would have gone to another address than the sender’s."},
		{twice, "An attached file had two endings, of which many systems show only the first."},
		{risky && !twice, "A file was attached that does something when it is opened."},
		{form, "It had fields to be filled in within the message itself."},
		{picture, "It fetched a picture from elsewhere, which tells the sender that it was opened."},
	} {
		if s.is {
			signs = append(signs, s.text)
		}
	}
	if len(signs) == 0 {
		signs = []string{"It wanted something to be done that nobody here had asked for."}
	}
	return signs
}

// teach makes the lesson and gives it to everybody until a week from now.
func (t *Training) teach(ctx context.Context, kind string, signs []string) error {
	name := hereName + strings.ToLower(string(id.New[id.Record]()))[:12]
	text := hereText(kind, signs, t.Now())
	l, err := lesson.Parse(name, text)
	if err != nil {
		return err
	}
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		if err := t.addLesson(ctx, tx, l, text); err != nil {
			return err
		}
		return t.give(ctx, tx, l.ID, "", t.Now().Add(quiet))
	})
}

func (t *Training) setLessonFromReport(w http.ResponseWriter, r *http.Request) error {
	one, err := t.oneReport(r)
	if err != nil {
		return err
	}
	var signs []string
	if m, err := apart.Take(one.Raw); err == nil {
		signs = signsOf(m.Reported())
	}
	if err := t.teach(r.Context(), "report", signs); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/training/team")
}

func (t *Training) setHere(w http.ResponseWriter, r *http.Request) error {
	kind := r.PostFormValue("what")
	if _, ok := happenings[kind]; !ok {
		return wrong("Choose what happened.", "", "/training/team")
	}
	if err := t.teach(r.Context(), kind, nil); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/training/team")
}
