package training

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
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

// hereName begins the names of lessons made from what happened here.
const hereName = "here-"

// allLessons are the program's lessons, the practice's own of its folder, and
// those that were added on a page. A later one of the same name stands in place of
// the earlier.
func (t *Training) allLessons(ctx context.Context) ([]lesson.Lesson, error) {
	by := map[string]lesson.Lesson{}
	for _, l := range t.lessons {
		by[l.ID] = l
	}
	if t.Own != nil {
		own, err := lesson.From(t.Own, ".")
		if err != nil { // said on the owners' page; the program's lessons go on
			t.Log.WarnContext(ctx, "a lesson of the practice's own cannot be read", "err", err)
		}
		for _, l := range own {
			l.Own = true
			by[l.ID] = l
		}
	}
	rows, err := t.DB.QueryContext(ctx, `SELECT lesson, box FROM training_own WHERE gone = 0 ORDER BY at`)
	if err != nil {
		return nil, fmt.Errorf("read own lessons: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var box []byte
		if err := rows.Scan(&name, &box); err != nil {
			return nil, fmt.Errorf("read own lessons: %w", err)
		}
		text, err := t.Key.Open(box, t.slot("training-lesson", name))
		if err != nil {
			return nil, fmt.Errorf("open own lesson %s: %w", name, err)
		}
		l, err := lesson.Parse(name, string(text))
		if err != nil {
			return nil, err
		}
		l.Own = true
		by[l.ID] = l
	}
	all := make([]lesson.Lesson, 0, len(by))
	for _, l := range by {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b lesson.Lesson) int { return strings.Compare(a.ID, b.ID) })
	return all, rows.Err()
}

// ErrNoLesson means that there is no lesson of that name.
var ErrNoLesson = errors.New("training: no such lesson")

func (t *Training) lesson(ctx context.Context, name string) (lesson.Lesson, error) {
	all, err := t.allLessons(ctx)
	if err != nil {
		return lesson.Lesson{}, err
	}
	i := slices.IndexFunc(all, func(l lesson.Lesson) bool { return l.ID == name })
	if i < 0 {
		return lesson.Lesson{}, ErrNoLesson
	}
	return all[i], nil
}

// addLesson keeps a lesson of the practice's own.
func (t *Training) addLesson(ctx context.Context, tx *store.Tx, l lesson.Lesson, text string) error {
	actor, now := id.From(ctx), t.Now()
	box := t.Key.Seal([]byte(text), t.slot("training-lesson", l.ID))
	_, err := tx.ExecContext(ctx, `INSERT INTO training_own (lesson, box, at, person) VALUES ($1, $2, $3, $4)
		ON CONFLICT (lesson) DO UPDATE SET box = excluded.box, at = excluded.at, person = excluded.person, gone = 0`, l.ID, box, now.UnixMilli(), string(actor.Person))
	if err != nil {
		return fmt.Errorf("add a lesson: %w", err)
	}
	return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: actor, Kind: "training.lesson-added", Part: word(l.ID), Version: int64(l.Version)})
}

// underWay are the first answers somebody has given so far, one list a step.
type underWay struct {
	Hash    string
	Answers [][]int
	At      time.Time
}

// answered says whether a step has all its answers.
func (u underWay) answered(l lesson.Lesson, step int) bool {
	return step < len(u.Answers) && len(u.Answers[step]) == len(l.Steps[step].Questions)
}

// next is the first step that waits for answers; all of them if none does.
func (u underWay) next(l lesson.Lesson) int {
	for i := range l.Steps {
		if !u.answered(l, i) {
			return i
		}
	}
	return len(l.Steps)
}

// underWayOf is where somebody is in a lesson. A text that changed meanwhile
// begins anew.
func (t *Training) underWayOf(ctx context.Context, p id.Person, l lesson.Lesson) (u underWay, err error) {
	var answers string
	var at int64
	err = t.DB.QueryRowContext(ctx, `SELECT hash, answers, at FROM training_under_way WHERE person = $1 AND lesson = $2`, string(p), l.ID).Scan(&u.Hash, &answers, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return underWay{Hash: l.Hash}, nil
	}
	if err != nil {
		return u, fmt.Errorf("read a lesson under way: %w", err)
	}
	if err := json.Unmarshal([]byte(answers), &u.Answers); err != nil {
		return u, fmt.Errorf("read a lesson under way: %w", err)
	}
	u.At = moment(at)
	if u.Hash != l.Hash || len(u.Answers) > len(l.Steps) {
		return underWay{Hash: l.Hash}, nil
	}
	return u, nil
}

// answer keeps the first answers to a step; later ones change nothing.
func (t *Training) answer(ctx context.Context, p id.Person, l lesson.Lesson, step int, chosen []int) error {
	u, err := t.underWayOf(ctx, p, l)
	if err != nil || u.answered(l, step) {
		return err
	}
	for len(u.Answers) <= step {
		u.Answers = append(u.Answers, []int{})
	}
	u.Answers[step] = chosen
	text, err := json.Marshal(u.Answers)
	if err != nil {
		return err
	}
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO training_under_way (person, lesson, hash, answers, at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (person, lesson) DO UPDATE SET hash = excluded.hash, answers = excluded.answers, at = excluded.at`, string(p), l.ID, l.Hash, string(text), t.Now().UnixMilli())
		if err != nil {
			return fmt.Errorf("keep answers: %w", err)
		}
		return nil
	})
}

// Certificate is one lesson that somebody did: who, which version, when, how
// answered.
type Certificate struct {
	ID      string
	Person  id.Person
	Name    string
	Lesson  string
	Title   string
	Version int
	Text    string // SHA-256 of what was read
	At      time.Time
	Answers string // JSON: the first answers
	Right   int    // of them
	Asked   int
}

// Sum is what the certificate's fact holds: it covers all of it.
func (c Certificate) Sum() []byte {
	h := sha256.New()
	fmt.Fprintf(h, "quietroom certificate v1\n%q %q %q %q %q %d %q %d %q %d %d", c.ID, c.Person, c.Name, c.Lesson, c.Title, c.Version, c.Text, c.At.UnixMilli(), c.Answers, c.Right, c.Asked)
	return h.Sum(nil)
}

// errUnanswered means that a step still waits.
var errUnanswered = errors.New("training: not all steps are answered")

// finish ends a lesson: the certificate and its fact.
func (t *Training) finish(ctx context.Context, p Person, l lesson.Lesson) (c Certificate, err error) {
	u, err := t.underWayOf(ctx, p.ID, l)
	if err != nil {
		return c, err
	}
	if u.next(l) < len(l.Steps) {
		return c, errUnanswered
	}
	text, err := json.Marshal(u.Answers)
	if err != nil {
		return c, err
	}
	c = Certificate{ID: string(id.New[id.Record]()), Person: p.ID, Name: p.Name, Lesson: l.ID, Title: l.Title, Version: l.Version, Text: l.Hash, At: moment(t.Now().UnixMilli()), Answers: string(text)}
	for i, s := range l.Steps {
		for j, q := range s.Questions {
			c.Asked++
			if a := u.Answers[i][j]; a >= 0 && a < len(q.Answers) && q.Answers[a].Right {
				c.Right++
			}
		}
	}
	return c, t.DB.Update(ctx, func(tx *store.Tx) error { return t.certify(ctx, tx, c) })
}

func (t *Training) certify(ctx context.Context, tx *store.Tx, c Certificate) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO training_done (done, person, name, lesson, title, version, hash, at, answers, right_, asked) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		c.ID, string(c.Person), c.Name, c.Lesson, c.Title, c.Version, c.Text, c.At.UnixMilli(), c.Answers, c.Right, c.Asked)
	if err == nil {
		err = tx.Send(ctx, `DELETE FROM training_under_way WHERE person = $1 AND lesson = $2`, string(c.Person), c.Lesson)
	}
	if err != nil {
		return fmt.Errorf("keep a certificate: %w", err)
	}
	return ledger.Append(ctx, tx, ledger.Fact{At: c.At, Actor: id.From(ctx), Kind: "training.lesson-done", Subject: string(c.Person), Part: word(c.Lesson), Version: int64(c.Version), Hash: c.Sum(), Ref: c.ID})
}

// ErrNoCertificate means that there is none of that number.
var ErrNoCertificate = errors.New("training: no such certificate")

const certificateColumns = `SELECT done, person, name, lesson, title, version, hash, at, answers, right_, asked FROM training_done `

func (t *Training) certificates(ctx context.Context, where string, args ...any) (all []Certificate, err error) {
	rows, err := t.DB.QueryContext(ctx, certificateColumns+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c Certificate
		var at int64
		if err := rows.Scan(&c.ID, &c.Person, &c.Name, &c.Lesson, &c.Title, &c.Version, &c.Text, &at, &c.Answers, &c.Right, &c.Asked); err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		c.At = moment(at)
		all = append(all, c)
	}
	return all, rows.Err()
}

// Verified is what the ledger says of a certificate.
type Verified struct {
	Fact  int64     // its number; 0 while it waits for one, some moments long
	Head  [6]string // words of the head under which it stands
	Size  int64
	Holds bool // the certificate is the one that the fact was made for
}

// Verify compares a certificate with its fact, and the fact with the signed tree.
func (t *Training) Verify(ctx context.Context, number string) (c Certificate, v Verified, err error) {
	all, err := t.certificates(ctx, `WHERE done = $1`, number)
	if err != nil {
		return c, v, err
	}
	if len(all) == 0 {
		return c, v, ErrNoCertificate
	}
	c = all[0]
	for e, err := range t.Ledger.Facts(ctx, ledger.Query{Subject: string(c.Person), Kinds: []string{"training.lesson-done"}, Since: c.At, Until: c.At.Add(time.Millisecond)}) {
		if err != nil {
			return c, v, err
		}
		if e.Ref != c.ID {
			continue
		}
		v.Fact, v.Holds = e.N, string(e.Hash) == string(c.Sum())
	}
	if v.Fact == 0 || !v.Holds {
		return c, v, nil
	}
	proof, err := t.Ledger.Prove(ctx, v.Fact)
	if errors.Is(err, ledger.ErrNoFact) {
		return c, v, nil // it waits for its head
	}
	if err != nil {
		return c, v, err
	}
	head, err := t.Ledger.Head(ctx)
	if err != nil {
		return c, v, err
	}
	if head.Size != proof.Size { // facts came in between: ask again
		return t.Verify(ctx, number)
	}
	if _, err := proof.Check(head); err != nil {
		v.Holds = false
		return c, v, nil
	}
	v.Head, v.Size = head.Words(), head.Size
	return c, v, nil
}

// offboard ends what is planned for somebody who leaves: no message, no reminder.
// Certificates stay: HIPAA wants them for six years.
func (t *Training) offboard(ctx context.Context, tx *store.Tx, l layer.Leaving) error {
	for _, text := range []string{
		`UPDATE training_messages SET state = 'cancelled', tag = '', mark = '' WHERE person = $1 AND state IN ('planned', 'queued')`,
		`UPDATE training_messages SET tag = '', mark = '' WHERE person = $1`,
		`DELETE FROM training_under_way WHERE person = $1`,
		`DELETE FROM training_given WHERE person = $1`,
	} {
		if _, err := tx.ExecContext(ctx, text, string(l.Person)); err != nil {
			return fmt.Errorf("end training of %s: %w", l.Person, err)
		}
	}
	return nil
}
