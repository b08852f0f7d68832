package training

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/rooms/training/lesson"
)

// Times of the plan of lessons.
const (
	renewed  = 365 * 24 * time.Hour // 45 CFR 164.308(a)(5) asks for periodic training; a year is the custom
	ahead    = 30 * 24 * time.Hour  // how long before its day a lesson is shown
	month    = 30 * 24 * time.Hour
	quiet    = 7 * 24 * time.Hour // between two reminders to one person
	reminded = 4                  // reminders in a row without a lesson done: then it is for people to talk
)

// due is one lesson that somebody has before them.
type due struct {
	lesson.Lesson
	Day   time.Time
	From  time.Time // from when it is shown
	Given bool      // beside the plan
	Again bool      // it was done before
}

// Late says whether its day is over.
func (d due) Late(now time.Time) bool { return now.After(d.Day) }

// dues are what a person has before them, the earliest first, whether shown
// already or not. A lesson is there once. Offered says since when each lesson of
// the plan is before the person: what came to be planned today is not late today.
func dues(p Person, lessons []lesson.Lesson, offered, done map[string]time.Time, given []gift, onboard time.Duration, now time.Time) (all []due) {
	later := 0
	for _, l := range lessons {
		at, was := done[l.ID]
		d := due{Lesson: l}
		if planned(l, p) {
			start, ok := offered[l.ID]
			if !ok {
				start = now
			}
			if !l.First {
				later++
			}
			switch {
			case was:
				d.Day, d.Again = at.Add(renewed), true
				d.From = d.Day.Add(-ahead)
			case l.First:
				d.Day, d.From = start.Add(onboard), start
			default:
				d.Day = start.Add(onboard + time.Duration(later)*month)
				d.From = d.Day.Add(-ahead)
			}
		}
		for _, g := range given {
			if g.Lesson == l.ID && (g.Person == p.ID || g.Person == "" && !p.Joined.After(g.At)) && !at.After(g.At) && (d.Day.IsZero() || g.Due.Before(d.Day)) {
				d.Day, d.From, d.Given, d.Again = g.Due, g.At, true, was
			}
		}
		if !d.Day.IsZero() {
			all = append(all, d)
		}
	}
	slices.SortStableFunc(all, func(a, b due) int { return a.Day.Compare(b.Day) })
	return all
}

// planned says whether a lesson belongs to a person's plan. Those made from what
// happened here are given, once.
func planned(l lesson.Lesson, p Person) bool {
	return l.IsFor(p.Roles) && !strings.HasPrefix(l.ID, hereName)
}

// offer writes down since when lessons are before people.
func (t *Training) offer(ctx context.Context, s state) error {
	now := t.Now()
	for _, p := range s.people {
		var fresh []string
		for _, l := range s.lessons {
			if _, ok := s.offered[p.ID][l.ID]; !ok && planned(l, p) {
				fresh = append(fresh, l.ID)
			}
		}
		if len(fresh) == 0 {
			continue
		}
		err := t.DB.Update(ctx, func(tx *store.Tx) error {
			for _, l := range fresh {
				if err := tx.Send(ctx, `INSERT INTO training_offered (person, lesson, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, string(p.ID), l, now.UnixMilli()); err != nil {
					return fmt.Errorf("offer lessons: %w", err)
				}
			}
			return ledger.Append(ctx, tx, ledger.Fact{At: now, Kind: "training.lessons-offered", Subject: string(p.ID), Version: int64(len(fresh))})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// latest reads who did, or was offered, which lesson when.
func (t *Training) latest(ctx context.Context, query string) (map[id.Person]map[string]time.Time, error) {
	rows, err := t.DB.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("read lessons of people: %w", err)
	}
	defer rows.Close()
	all := map[id.Person]map[string]time.Time{}
	for rows.Next() {
		var p id.Person
		var l string
		var at int64
		if err := rows.Scan(&p, &l, &at); err != nil {
			return nil, fmt.Errorf("read lessons of people: %w", err)
		}
		if all[p] == nil {
			all[p] = map[string]time.Time{}
		}
		all[p][l] = moment(at)
	}
	return all, rows.Err()
}

// shown are those of dues that are before a person now.
func shown(all []due, now time.Time) (some []due) {
	for _, d := range all {
		if !now.Before(d.From) {
			some = append(some, d)
		}
	}
	return some
}

// gift is a lesson that an owner gave, beside the plan.
type gift struct {
	Lesson  string
	Person  id.Person // "": everybody who was there
	Due, At time.Time
}

func (t *Training) gifts(ctx context.Context) (all []gift, err error) {
	rows, err := t.DB.QueryContext(ctx, `SELECT lesson, person, due, at FROM training_given ORDER BY at`)
	if err != nil {
		return nil, fmt.Errorf("read lessons given: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var g gift
		var day, at int64
		if err := rows.Scan(&g.Lesson, &g.Person, &day, &at); err != nil {
			return nil, fmt.Errorf("read lessons given: %w", err)
		}
		g.Due, g.At = moment(day), moment(at)
		all = append(all, g)
	}
	return all, rows.Err()
}

// give puts a lesson before somebody, or everybody, until a day.
func (t *Training) give(ctx context.Context, tx *store.Tx, lessonID string, to id.Person, day time.Time) error {
	number, actor, now := string(id.New[id.Record]()), id.From(ctx), t.Now()
	_, err := tx.ExecContext(ctx, `INSERT INTO training_given (given, lesson, person, due, at, by_) VALUES ($1, $2, $3, $4, $5, $6)`, number, lessonID, string(to), day.UnixMilli(), now.UnixMilli(), string(actor.Person))
	if err != nil {
		return fmt.Errorf("give a lesson: %w", err)
	}
	return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: actor, Kind: "training.lesson-given", Subject: string(to), Part: word(lessonID), Ref: number})
}

// state is who has what before them.
type state struct {
	settings settings
	lessons  []lesson.Lesson
	people   []Person
	by       map[id.Person]Person
	done     map[id.Person]map[string]time.Time
	offered  map[id.Person]map[string]time.Time
	dues     map[id.Person][]due
}

func (t *Training) state(ctx context.Context) (s state, err error) {
	if s.settings, err = t.settings(ctx); err != nil {
		return s, err
	}
	if s.lessons, err = t.allLessons(ctx); err != nil {
		return s, err
	}
	if s.by, s.people, err = t.people(ctx); err != nil {
		return s, err
	}
	if s.done, err = t.latest(ctx, `SELECT person, lesson, MAX(at) FROM training_done GROUP BY person, lesson`); err != nil {
		return s, err
	}
	if s.offered, err = t.latest(ctx, `SELECT person, lesson, at FROM training_offered`); err != nil {
		return s, err
	}
	given, err := t.gifts(ctx)
	if err != nil {
		return s, err
	}
	s.dues = map[id.Person][]due{}
	for _, p := range s.people {
		s.dues[p.ID] = dues(p, s.lessons, s.offered[p.ID], s.done[p.ID], given, time.Duration(s.settings.Onboard)*24*time.Hour, t.Now())
	}
	return s, nil
}

// remind tells people once, in working hours, what is due within a week or over:
// one notice for all of it, not more than one a week, and four in a row at most.
func (t *Training) remind(ctx context.Context) error {
	s, err := t.state(ctx)
	if err != nil {
		return err
	}
	if err := t.offer(ctx, s); err != nil || !atWork(t.Now(), zone(s.settings.Zone)) {
		return err
	}
	for _, p := range s.people {
		var soon []due
		for _, d := range shown(s.dues[p.ID], t.Now()) {
			if t.Now().Add(quiet).After(d.Day) {
				soon = append(soon, d)
			}
		}
		if len(soon) == 0 || len(p.Addresses) == 0 {
			continue
		}
		if err := t.remindOne(ctx, p, soon); err != nil {
			return err
		}
	}
	return nil
}

func (t *Training) remindOne(ctx context.Context, p Person, soon []due) error {
	now := t.Now()
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		var last, done, since int64
		err := tx.QueryRowContext(ctx, `SELECT COALESCE((SELECT MAX(at) FROM training_reminded WHERE person = $1), 0), COALESCE((SELECT MAX(at) FROM training_done WHERE person = $1), 0)`, string(p.ID)).Scan(&last, &done)
		if err != nil {
			return fmt.Errorf("when was %s reminded: %w", p.ID, err)
		}
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM training_reminded WHERE person = $1 AND at > $2`, string(p.ID), max(done, soon[0].Day.Add(-2*quiet).UnixMilli())).Scan(&since); err != nil {
			return fmt.Errorf("how often was %s reminded: %w", p.ID, err)
		}
		if now.Sub(moment(last)) < quiet || since >= reminded {
			return nil
		}
		if err := tx.Send(ctx, `INSERT INTO training_reminded (person, at) VALUES ($1, $2)`, string(p.ID), now.UnixMilli()); err != nil {
			return fmt.Errorf("keep that %s was reminded: %w", p.ID, err)
		}
		minutes := 0
		for _, d := range soon {
			minutes += d.Minutes
		}
		text := fmt.Sprintf("%s, %s altogether. The first is due on %s.\n\nThey can be done on a telephone, and be left and taken up again at any time.", lessons(len(soon)), minutesInWords(minutes), soon[0].Day.In(t.Now().Location()).Format("Monday, January 2"))
		if soon[0].Late(now) {
			text = fmt.Sprintf("%s, %s altogether, still wait for you.\n\nThey can be done on a telephone, and be left and taken up again at any time.", lessons(len(soon)), minutesInWords(minutes))
		}
		return t.Notices.Notify(ctx, tx, layer.Notice{To: p.ID, Subject: "A short lesson is due", Text: text, Link: "/training"})
	})
}

func lessons(n int) string {
	if n == 1 {
		return "1 lesson"
	}
	return fmt.Sprintf("%d lessons", n)
}

func minutesInWords(n int) string {
	if n == 1 {
		return "1 minute"
	}
	return fmt.Sprintf("%d minutes", n)
}

// word is a lesson's name as a fact may hold it: letters and dashes.
func word(lessonID string) string {
	for _, c := range lessonID {
		if !(c >= 'a' && c <= 'z' || c == '-') {
			return "own"
		}
	}
	return lessonID
}
