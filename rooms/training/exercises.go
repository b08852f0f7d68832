package training

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// A table-top exercise takes ten minutes: somebody reads aloud, the others say
// what they would do, and it is written down. Whoever is in it is made up. It is
// marked as an exercise wherever it stands, so that nobody ever takes its record
// for that of an incident.

// scene is one moment of an exercise.
type scene struct{ Clock, Title, Text, Ask string }

// script is one exercise, after what happened elsewhere.
type script struct {
	ID, Title, After string
	Scenes           []scene
}

var scripts = []script{
	{"stolen", "The notes are gone, and somebody wants money", "After Vastaamo: an open database, 33,000 patients, extortion of each", []scene{
		{"Friday, 4:40 pm", "A mail", "The front desk reads: “We have your patients’ files. 40 bitcoin by Sunday. Here are two, so that you believe us.” Attached is a file. Two made-up names are in the text, Ada Example and Ben Sample, and what is said of Ada sounds true.", "Who is told first, and how? Who touches the mail, and who does not? What do you say to Ada, if she rings now?"},
		{"5:30 pm", "Where from?", "The house is sealed, and its ledger shows nothing unusual. Three years ago there was another system, and its old backup disk lay in a cupboard. Nobody knows where it is.", "What do you look up in Quietroom? Who looks for the disk? What do you write down, and what do you not write yet?"},
		{"Saturday, 9 am", "Ben rings", "Ben Sample got a mail in his own name. He is frightened, and asks whether he should pay. A reporter has left a message too.", "Who calls Ben back today? Who speaks to the reporter? Insurer, lawyer, police: who calls whom, and by when?"},
	}},
	{"prompts", "Forty prompts, and one Yes", "After Los Angeles County: a mailbox opened by prompts until somebody pressed Yes", []scene{
		{"Tuesday, 6:50 am", "Forty prompts", "Kim Placeholder of billing had prompts on her telephone all night, from the mail provider. At half past five she pressed Yes, so that they would end.", "What is closed first, and by whom? Where is it pressed? Does anybody ask Kim why?"},
		{"8:15 am", "Rules", "In Kim’s mailbox stands a rule that she did not make: answers with “invoice” go to an address elsewhere. Two partners got mails from her at six.", "How do you find out what lay in that mailbox? Whom do you warn, and how, if mail cannot be trusted?"},
		{"11 am", "What was in it", "The mailbox holds a list of made-up patients with birth dates, sent by an insurer in March, and forty appointment mails.", "Who decides whether people have to be told? When did the clock begin? What would have made this small?"},
	}},
	{"pixel", "The pixel, the leaver and the list", "After Cerebral: pixels told advertisers who sought help, and leavers kept access", []scene{
		{"Monday, 10 am", "A finding", "The look at your web site finds that the page “Book a first session” tells an advertising company which page was opened. It came with a new booking widget, five weeks ago.", "Who takes it off, within which minutes? What do you save before? Who was told what, and how would you know?"},
		{"11:30 am", "A sign-in from elsewhere", "While you look, the health-record system shows a sign-in by Lee Nobody, who left in spring. The account was never closed: it was on nobody’s list.", "Where do you press “Someone is leaving” for what is outside Quietroom? What did Lee’s account reach, and since when?"},
		{"2 pm", "The vendor answers", "The maker of the widget writes: “All our customers use it.” There is no written agreement. They offer to delete “if you tell us whose data”.", "What do you answer, and what do you not send them? Who writes to visitors, if it comes to that? What changes before the next widget?"},
	}},
}

func scriptOf(name string) (script, bool) {
	for _, s := range scripts {
		if s.ID == name {
			return s, true
		}
	}
	return script{}, false
}

// record is what was said in an exercise.
type record struct {
	People  string   `json:"people"`
	Said    []string `json:"said"`
	Learned string   `json:"learned,omitempty"`
	Who     string   `json:"who,omitempty"`
}

// exercise is one that was begun.
type exercise struct {
	record
	script
	ID     string
	Number int
	Began  time.Time
	Ended  time.Time
	Step   int
	Due    time.Time
	Fixed  time.Time
}

func (t *Training) exercises(ctx context.Context, where string, args ...any) (all []exercise, err error) {
	rows, err := t.DB.QueryContext(ctx, `SELECT exercise, number, incident, began, ended, step, box, due, fixed FROM training_exercises `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read exercises: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e exercise
		var name string
		var began, ended, due, fixed int64
		var box []byte
		if err := rows.Scan(&e.ID, &e.Number, &name, &began, &ended, &e.Step, &box, &due, &fixed); err != nil {
			return nil, fmt.Errorf("read exercises: %w", err)
		}
		plain, err := t.Key.Open(box, t.slot("training-exercise", e.ID))
		if err == nil {
			err = json.Unmarshal(plain, &e.record)
		}
		if err != nil {
			return nil, fmt.Errorf("open exercise %s: %w", e.ID, err)
		}
		number := e.ID
		e.script, _ = scriptOf(name)
		e.ID = number
		e.Began, e.Ended, e.Due, e.Fixed = moment(began), moment(ended), moment(due), moment(fixed)
		all = append(all, e)
	}
	return all, rows.Err()
}

func (t *Training) exerciseBox(number string, r record) ([]byte, error) {
	plain, err := json.Marshal(r)
	return t.Key.Seal(plain, t.slot("training-exercise", number)), err
}

func (t *Training) mountExercises(m *web.Mux) {
	m.Handle("POST /training/team/here", t.setHere, web.Owner)
	m.Handle("GET /training/exercises", t.showExercises, web.Owner)
	m.Handle("POST /training/exercises", t.setBegun, web.Owner)
	m.Handle("GET /training/exercises/{exercise}", t.showExercise, web.Owner)
	m.Handle("POST /training/exercises/{exercise}", t.setSaid, web.Owner)
}

// exercisesPage is what exercises.html gets.
type exercisesPage struct {
	Scripts []script
	All     []exercise
	Now     time.Time
}

func (t *Training) showExercises(w http.ResponseWriter, r *http.Request) error {
	all, err := t.exercises(r.Context(), `ORDER BY number DESC`)
	if err != nil {
		return err
	}
	return t.pages.Show(w, r, "exercises", web.View{Title: "Table-top exercises", Data: exercisesPage{scripts, all, t.Now()}})
}

func (t *Training) setBegun(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	s, ok := scriptOf(r.PostFormValue("script"))
	if !ok {
		return wrong("Choose an exercise.", "", "/training/exercises")
	}
	people := strings.TrimSpace(r.PostFormValue("people"))
	if people == "" || len(people) > 500 {
		return wrong("Write down who takes part.", "Names or roles of your own people, nobody else’s.", "/training/exercises")
	}
	number, actor, now := string(id.New[id.Record]()), id.From(ctx), t.Now()
	box, err := t.exerciseBox(number, record{People: people})
	if err != nil {
		return err
	}
	err = t.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO training_exercises (exercise, number, incident, began, by_, box) VALUES ($1, (SELECT COALESCE(MAX(number), 0) + 1 FROM training_exercises), $2, $3, $4, $5)`, number, s.ID, now.UnixMilli(), string(actor.Person), box)
		if err != nil {
			return fmt.Errorf("begin an exercise: %w", err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: actor, Kind: "training.exercise-begun", Part: s.ID, Ref: number})
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/training/exercises/"+number)
}

func (t *Training) oneExercise(r *http.Request) (exercise, error) {
	number := r.PathValue("exercise")
	if id.Check(number) != nil {
		return exercise{}, errUnknown
	}
	all, err := t.exercises(r.Context(), `WHERE exercise = $1`, number)
	if err == nil && len(all) == 0 {
		err = errUnknown
	}
	if err != nil {
		return exercise{}, err
	}
	return all[0], nil
}

// exercisePage is what exercise.html gets.
type exercisePage struct {
	exercise
	Scene   *scene // the one that is on; nil: what was learned is asked, or it is over
	Minutes int
	Over    bool
	Day     string
	Told    []told
}

type told struct {
	scene
	Said string
}

func (t *Training) showExercise(w http.ResponseWriter, r *http.Request) error {
	e, err := t.oneExercise(r)
	if err != nil {
		return err
	}
	p := exercisePage{exercise: e, Over: !e.Ended.IsZero(), Day: t.Now().AddDate(0, 0, 14).Format(time.DateOnly)}
	if e.Step < len(e.Scenes) && !p.Over {
		p.Scene = &e.Scenes[e.Step]
	}
	for i, s := range e.record.Said {
		if i < len(e.Scenes) {
			p.Told = append(p.Told, told{e.Scenes[i], s})
		}
	}
	if p.Over {
		p.Minutes = max(1, int(e.Ended.Sub(e.Began)/time.Minute))
	}
	return t.pages.Show(w, r, "exercise", web.View{Title: "Exercise " + strconv.Itoa(e.Number), Data: p})
}

const mostWritten = 4000

// setSaid keeps what was decided in a scene, what was learned at the end, or that
// it was fixed.
func (t *Training) setSaid(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	e, err := t.oneExercise(r)
	if err != nil {
		return err
	}
	back := "/training/exercises/" + e.ID
	actor, now := id.From(ctx), t.Now()
	rec := e.record
	fact := ledger.Fact{At: now, Actor: actor, Part: e.script.ID, Ref: e.ID}
	step, ended, due, fixed := e.Step, int64(0), int64(0), int64(0)
	if !e.Ended.IsZero() {
		ended, due = e.Ended.UnixMilli(), e.Due.UnixMilli()
	}
	text := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	switch {
	case e.Ended.IsZero() && e.Step < len(e.Scenes):
		said := text("said")
		if said == "" || len(said) > mostWritten {
			return wrong("Write down in a sentence what you would do.", "", back)
		}
		rec.Said = append(rec.Said, said)
		step++
	case e.Ended.IsZero():
		s, err := t.settings(ctx)
		if err != nil {
			return err
		}
		rec.Learned, rec.Who = text("learned"), text("who")
		day, err := time.ParseInLocation(time.DateOnly, text("day"), zone(s.Zone))
		if err != nil || rec.Learned == "" || rec.Who == "" || len(rec.Learned) > mostWritten || len(rec.Who) > 200 {
			return wrong("An exercise ends with what was learned, who fixes it, and by when.", "Fill in all three; “nothing” is an answer too.", back)
		}
		ended, due = now.UnixMilli(), day.Add(24*time.Hour-time.Second).UnixMilli()
		fact.Kind = "training.exercise-ended"
	case r.PostFormValue("fixed") == "yes" && e.Fixed.IsZero():
		fixed = now.UnixMilli()
		fact.Kind = "training.exercise-fixed"
	default:
		return web.SeeOther(w, r, back)
	}
	box, err := t.exerciseBox(e.ID, rec)
	if err != nil {
		return err
	}
	err = t.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE training_exercises SET step = $2, ended = $3, due = $4, fixed = $5, box = $6 WHERE exercise = $1 AND step = $7`, e.ID, step, ended, due, fixed, box, e.Step)
		if err != nil {
			return fmt.Errorf("keep an exercise: %w", err)
		}
		if fact.Kind == "" {
			return nil
		}
		return ledger.Append(ctx, tx, fact)
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, back)
}
