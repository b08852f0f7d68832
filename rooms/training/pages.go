package training

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/training/lesson"
)

func (t *Training) mount(m *web.Mux) {
	m.Script("act.js", actScript)
	m.Foot(web.NavItem{Text: "Learn", Path: "/training"})
	m.Foot(web.NavItem{Text: "Report a message", Path: "/report"})

	m.Handle("GET /training", t.show, web.Signed)
	m.Handle("GET /training/lessons/{lesson}/{step}", t.showStep, web.Signed)
	m.Handle("POST /training/lessons/{lesson}/{step}", t.setAnswers, web.Signed)
	m.Handle("POST /training/lessons/{lesson}/finish", t.setFinished, web.Signed)
	m.Handle("GET /training/certificates/{certificate}", t.showCertificate, web.Signed)
	m.Handle("GET /training/mine", t.showMine, web.Signed)

	m.Handle("GET /training/team", t.showTeam, web.Owner)
	m.Handle("POST /training/team/give", t.setGiven, web.Owner)
	m.Handle("POST /training/team/settings", t.setSettings, web.Owner)
	m.Handle("POST /training/team/lessons", t.setLesson, web.Owner)

	m.Handle("GET /training/practice", t.showPractice, web.Owner)
	m.Handle("POST /training/practice", t.setPractice, web.Owner)

	m.Handle("GET /m/{token}", t.land, web.Outside)
	m.Handle("POST /m/{token}", t.press, web.Outside)
	m.Handle("GET /m/{token}/cues", t.cues, web.Outside)
	m.Handle("GET /m/{token}/all", t.trap, web.Outside)

	t.mountReports(m)
	t.mountExercises(m)
}

func wrong(text, fix, back string) error {
	return &web.Error{Status: http.StatusUnprocessableEntity, Text: text, Fix: fix, Back: back}
}

var errUnknown = &web.Error{Status: http.StatusNotFound, Text: "There is no such thing here.", Back: "/training"}

// me is the acting person.
func (t *Training) me(ctx context.Context) (Person, error) {
	by, _, err := t.people(ctx)
	if err != nil {
		return Person{}, err
	}
	p, ok := by[id.From(ctx).Person]
	if !ok {
		return p, errUnknown
	}
	return p, nil
}

// learnPage is what training.html gets.
type learnPage struct {
	Due     []due
	Next    *due // if nothing is due
	Done    []Certificate
	Minutes int
	Owner   bool
	Now     time.Time
}

func owner(p Person) bool {
	for _, r := range p.Roles {
		if r == "owner" {
			return true
		}
	}
	return false
}

func (t *Training) show(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	me, err := t.me(ctx)
	if err != nil {
		return err
	}
	s, err := t.state(ctx)
	if err != nil {
		return err
	}
	p := learnPage{Due: shown(s.dues[me.ID], t.Now()), Owner: owner(me), Now: t.Now()}
	for _, d := range p.Due {
		p.Minutes += d.Minutes
	}
	if all := s.dues[me.ID]; len(p.Due) == 0 && len(all) > 0 {
		p.Next = &all[0]
	}
	if p.Done, err = t.certificates(ctx, `WHERE person = $1 ORDER BY at DESC LIMIT 60`, string(me.ID)); err != nil {
		return err
	}
	return t.pages.Show(w, r, "training", web.View{Title: "Learn", Data: p})
}

// stepPage is what step.html gets.
type stepPage struct {
	lesson.Lesson
	Step      lesson.Step
	N, Of     int
	Questions []questionView
	Answered  bool // all of this step
	Last      bool
	Ready     bool // all of the lesson
	Fault     string
}

type questionView struct {
	lesson.Question
	N      int
	Chosen int // -1: not yet
	Right  bool
}

func (t *Training) stepOf(r *http.Request) (l lesson.Lesson, step int, err error) {
	l, err = t.lesson(r.Context(), r.PathValue("lesson"))
	if errors.Is(err, ErrNoLesson) {
		return l, 0, errUnknown
	}
	if err != nil {
		return l, 0, err
	}
	step, err = strconv.Atoi(r.PathValue("step"))
	if err != nil || step < 1 || step > len(l.Steps) {
		return l, 0, errUnknown
	}
	return l, step - 1, nil
}

func (t *Training) showStep(w http.ResponseWriter, r *http.Request) error {
	l, step, err := t.stepOf(r)
	if err != nil {
		return err
	}
	return t.step(w, r, l, step, "")
}

func (t *Training) step(w http.ResponseWriter, r *http.Request, l lesson.Lesson, step int, fault string) error {
	me, err := t.me(r.Context())
	if err != nil {
		return err
	}
	u, err := t.underWayOf(r.Context(), me.ID, l)
	if err != nil {
		return err
	}
	p := stepPage{Lesson: l, Step: l.Steps[step], N: step + 1, Of: len(l.Steps), Answered: u.answered(l, step), Last: step == len(l.Steps)-1, Fault: fault}
	p.Ready = u.next(l) == len(l.Steps) || p.Last && len(p.Step.Questions) == 0
	for i, q := range p.Step.Questions {
		v := questionView{Question: q, N: i, Chosen: -1}
		if p.Answered {
			v.Chosen = u.Answers[step][i]
			v.Right = v.Chosen >= 0 && v.Chosen < len(q.Answers) && q.Answers[v.Chosen].Right
		}
		p.Questions = append(p.Questions, v)
	}
	v := web.View{Title: l.Title, Data: p}
	if fault != "" {
		v.Status = http.StatusUnprocessableEntity
	}
	return t.pages.Show(w, r, "step", v)
}

func (t *Training) setAnswers(w http.ResponseWriter, r *http.Request) error {
	l, step, err := t.stepOf(r)
	if err != nil {
		return err
	}
	me, err := t.me(r.Context())
	if err != nil {
		return err
	}
	chosen := []int{}
	for i, q := range l.Steps[step].Questions {
		a, err := strconv.Atoi(r.PostFormValue("q" + strconv.Itoa(i)))
		if err != nil || a < 0 || a >= len(q.Answers) {
			return t.step(w, r, l, step, "Choose an answer first. There is no mark for it; what follows tells why.")
		}
		chosen = append(chosen, a)
	}
	if err := t.answer(r.Context(), me.ID, l, step, chosen); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/training/lessons/"+l.ID+"/"+strconv.Itoa(step+1)+"#said")
}

func (t *Training) setFinished(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	l, err := t.lesson(ctx, r.PathValue("lesson"))
	if errors.Is(err, ErrNoLesson) {
		return errUnknown
	}
	if err != nil {
		return err
	}
	me, err := t.me(ctx)
	if err != nil {
		return err
	}
	for i, s := range l.Steps { // steps without a question are done by being read
		if len(s.Questions) == 0 {
			if err := t.answer(ctx, me.ID, l, i, []int{}); err != nil {
				return err
			}
		}
	}
	c, err := t.finish(ctx, me, l)
	if errors.Is(err, errUnanswered) {
		u, err := t.underWayOf(ctx, me.ID, l)
		if err != nil {
			return err
		}
		return web.SeeOther(w, r, "/training/lessons/"+l.ID+"/"+strconv.Itoa(u.next(l)+1))
	}
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/training/certificates/"+c.ID)
}

// certificatePage is what certificate.html gets.
type certificatePage struct {
	Certificate
	Verified
	Practice string
	Mine     bool
}

func (t *Training) showCertificate(w http.ResponseWriter, r *http.Request) error {
	number := r.PathValue("certificate")
	if id.Check(number) != nil {
		return errUnknown
	}
	me, err := t.me(r.Context())
	if err != nil {
		return err
	}
	c, v, err := t.Verify(r.Context(), number)
	if errors.Is(err, ErrNoCertificate) || err == nil && c.Person != me.ID && !owner(me) {
		return errUnknown
	}
	if err != nil {
		return err
	}
	return t.pages.Show(w, r, "certificate", web.View{Title: "Certificate", Data: certificatePage{c, v, t.PracticeName(), c.Person == me.ID}})
}

// teamPage is what team.html gets.
type teamPage struct {
	Said    layer.Evidence
	Rows    []teamRow
	Lessons []lesson.Lesson
	People  []Person
	Zone    string
	Zones   []string
	Onboard int
	Day     string // proposed for what is given
	Fault   string
	Own     int
	Chart   web.Bars // lessons done, by month
}

type teamRow struct {
	Person
	Done, Shown, Late int
	Next              *due
	Last              *Certificate
}

var zones = []string{"America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles", "America/Anchorage", "Pacific/Honolulu", "America/Puerto_Rico", "Pacific/Guam", "UTC"}

func (t *Training) showTeam(w http.ResponseWriter, r *http.Request) error { return t.team(w, r, nil) }

func (t *Training) team(w http.ResponseWriter, r *http.Request, fault *web.Error) error {
	ctx := r.Context()
	s, err := t.state(ctx)
	if err != nil {
		return err
	}
	p := teamPage{Said: t.lessonEvidence(s).At(t.Now()), Lessons: s.lessons, People: s.people, Zone: s.settings.Zone, Zones: zones, Onboard: s.settings.Onboard, Day: t.Now().Add(14 * 24 * time.Hour).Format(time.DateOnly)}
	done, err := t.certificates(ctx, `ORDER BY at`)
	if err != nil {
		return err
	}
	p.Chart = byMonth(done, t.Now().In(zone(s.settings.Zone)))
	last := map[id.Person]*Certificate{}
	for i := range done {
		last[done[i].Person] = &done[i]
	}
	for _, l := range s.lessons {
		if l.Own {
			p.Own++
		}
	}
	for _, who := range s.people {
		row := teamRow{Person: who, Done: len(s.done[who.ID]), Last: last[who.ID]}
		for _, d := range shown(s.dues[who.ID], t.Now()) {
			row.Shown++
			if d.Late(t.Now()) {
				row.Late++
			}
		}
		if all := s.dues[who.ID]; len(all) > 0 {
			row.Next = &all[0]
		}
		p.Rows = append(p.Rows, row)
	}
	v := web.View{Title: "Lessons of the team", Data: &p}
	if fault != nil {
		p.Fault, v.Status = fault.Text+" "+fault.Fix, fault.Status
	}
	return t.pages.Show(w, r, "team", v)
}

func (t *Training) setGiven(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	l, err := t.lesson(ctx, r.PostFormValue("lesson"))
	if err != nil {
		return errUnknown
	}
	by, _, err := t.people(ctx)
	if err != nil {
		return err
	}
	to := id.Person(r.PostFormValue("person"))
	if _, here := by[to]; to != "" && !here {
		return wrong("Nobody of that name works here now.", "Choose somebody of the list.", "/training/team")
	}
	s, err := t.settings(ctx)
	if err != nil {
		return err
	}
	day, err := time.ParseInLocation(time.DateOnly, r.PostFormValue("day"), zone(s.Zone))
	if err != nil || day.Before(t.Now().Add(-24*time.Hour)) || day.After(t.Now().AddDate(1, 0, 0)) {
		return wrong("The day has to be within the next year.", "Choose a day to come.", "/training/team")
	}
	if err := t.giveNow(ctx, l.ID, to, day.Add(24*time.Hour-time.Second)); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/training/team")
}

func (t *Training) setSettings(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	s, err := t.settings(ctx)
	if err != nil {
		return err
	}
	days, err := strconv.Atoi(r.PostFormValue("onboard"))
	if err != nil || days < 1 || days > 90 {
		return wrong("The first lessons are due within 1 to 90 days.", "Type a number.", "/training/team")
	}
	name := r.PostFormValue("zone")
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		return wrong("This time zone is not known.", "Choose one of the list.", "/training/team")
	}
	s.Onboard, s.Zone = days, name
	if err := t.keepSettings(ctx, s, "training.plan-set"); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/training/team")
}

// setLesson adds a lesson of the practice's own, as a text.
func (t *Training) setLesson(w http.ResponseWriter, r *http.Request) error {
	name, text := r.PostFormValue("name"), r.PostFormValue("text")
	l, err := lesson.Parse(name, text)
	if e, ok := errors.AsType[*lesson.Error](err); ok {
		return t.team(w, r, &web.Error{Status: http.StatusUnprocessableEntity, Text: "The lesson was not taken.", Fix: e.Error() + "."})
	}
	if err != nil {
		return err
	}
	if err := t.addNow(r.Context(), l, text); err != nil {
		return err
	}
	return web.SeeOther(w, r, "/training/team")
}

// Next is the step after this one.
func (p stepPage) Next() int { return p.N + 1 }

// byMonth counts lessons done in the last twelve months.
func byMonth(done []Certificate, now time.Time) web.Bars {
	b := web.Bars{Caption: "Lessons done, by month", Of: "Month", Unit: "Lessons"}
	first := time.Date(now.Year(), now.Month()-11, 1, 0, 0, 0, 0, now.Location())
	all := 0
	for i := range 12 {
		from := first.AddDate(0, i, 0)
		n := 0
		for _, c := range done {
			if !c.At.Before(from) && c.At.Before(from.AddDate(0, 1, 0)) {
				n++
			}
		}
		all += n
		b.Bars = append(b.Bars, web.Bar{Name: from.Format("2006-01"), Value: float64(n)})
	}
	b.Title = strconv.Itoa(all) + " lessons were done in twelve months"
	b.From, b.To = b.Bars[0].Name, b.Bars[11].Name
	return b
}
