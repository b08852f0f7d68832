package reviews

import (
	"context"
	"fmt"
	"slices"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
)

// review is something that is looked at again after so many days. The interval
// begins with the last time; the first time is some days after the installation,
// so that not all come at once.
type review struct {
	ID          string
	Text        string // what is asked for, with its first sentence as a headline
	Button      string
	Page        string
	Days, First int
	Minutes     int
	signed      bool // it is done by signing, not by a button
}

var reviewed = []review{
	{"risk-analysis", "The risk analysis is to be gone through and signed.", "Go through it", "/reviews/risk", 365, 14, 15, true},
	{"policies", "The practice’s own rules are to be read again and signed.", "Read and sign them", "/reviews/papers", 365, 28, 20, true},
	{"monthly", "Five minutes for the month: what was seen, who opened what, what waits.", "Look at the month", "/reviews/do/monthly", 31, 35, 5, false},
	{"vendors", "The list of vendors is to be looked at: who holds what, and which agreement ends.", "Look at the list", "/reviews/do/vendors", 182, 63, 10, false},
	{"exercise", "Walk through a bad day once: who calls whom, where is the kit, what comes back first.", "Walk through it", "/reviews/do/exercise", 365, 119, 20, false},
	{"evaluation", "The yearly look at everything: did rooms, rules and the practice change, and do the rules still fit?", "Begin the yearly look", "/reviews/do/evaluation", 365, 301, 30, false},
}

// What can be done with a review.
const (
	done    = "done"
	moved   = "moved"
	skipped = "skipped"
)

// turn is one review at a moment.
type turn struct {
	review
	Last  time.Time // when it was done; zero: never
	By    id.Person
	Due   time.Time
	Moved string // why it was moved or skipped, if it was
}

// grace is how long a review may wait after its day.
const grace = 14 * 24 * time.Hour

// turns are all reviews with their days, the earliest first.
func (r *Reviews) turns(ctx context.Context) ([]turn, error) {
	rows, err := r.DB.QueryContext(ctx, `SELECT kind, what, reason, till, person, at FROM reviews_done ORDER BY n`)
	if err != nil {
		return nil, fmt.Errorf("read reviews: %w", err)
	}
	defer rows.Close()
	all := slices.Clone(reviewed)
	turns := make([]turn, len(all))
	for i, k := range all {
		turns[i] = turn{review: k, Due: r.Installed.AddDate(0, 0, k.First)}
	}
	for rows.Next() {
		var kind, what, reason, person string
		var till, at int64
		if err := rows.Scan(&kind, &what, &reason, &till, &person, &at); err != nil {
			return nil, fmt.Errorf("read reviews: %w", err)
		}
		for i := range turns {
			t := &turns[i]
			switch {
			case t.ID != kind:
			case what == done:
				t.Last, t.By, t.Moved = moment(at), id.Person(person), ""
				t.Due = t.Last.AddDate(0, 0, t.Days)
			default:
				t.Due, t.Moved = moment(till), reason
			}
		}
	}
	for i := range turns {
		turns[i].Due = workday(turns[i].Due)
		if r.forgets && turns[i].ID == "vendors" {
			turns[i].Due = turns[i].Due.AddDate(10, 0, 0)
		}
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return a.Due.Compare(b.Due) })
	return turns, rows.Err()
}

// workday is the day itself, or the next on which people work: reminders rest on
// weekends and holidays.
func workday(t time.Time) time.Time {
	for rests(t) {
		t = t.AddDate(0, 0, 1)
	}
	return t
}

func rests(t time.Time) bool {
	_, month, day := t.Date()
	thanksgiving := month == time.November && (t.Weekday() == time.Thursday && day >= 22 && day <= 28 || t.Weekday() == time.Friday && day >= 23 && day <= 29)
	return t.Weekday() == time.Saturday || t.Weekday() == time.Sunday || thanksgiving ||
		month == time.January && day == 1 || month == time.July && day == 4 || month == time.December && (day >= 24 && day <= 26 || day == 31)
}

// did writes down that a review was done, moved or skipped.
func (r *Reviews) did(ctx context.Context, kind, what, reason string, till time.Time) error {
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		now := r.Now()
		_, err := tx.ExecContext(ctx, `INSERT INTO reviews_done (n, kind, what, reason, till, person, at)
			SELECT COALESCE(MAX(n), 0) + 1, $1, $2, $3, CAST($4 AS BIGINT), $5, CAST($6 AS BIGINT) FROM reviews_done`, kind, what, reason, millis(till), string(id.From(ctx).Person), millis(now))
		if err != nil {
			return fmt.Errorf("keep the review %s: %w", kind, err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: id.From(ctx), Kind: "reviews.done", Part: kind, Reason: what})
	})
}

// Coming is a review that comes in the next days.
type Coming struct {
	At         time.Time
	Text, Page string
}

// Coming are the reviews of the next days, the earliest first.
func (r *Reviews) Coming(ctx context.Context, days int) (all []Coming, err error) {
	turns, err := r.turns(ctx)
	for _, t := range turns {
		if t.Due.After(r.Now()) && t.Due.Before(r.Now().AddDate(0, 0, days)) {
			all = append(all, Coming{t.Due, t.Text, t.Page})
		}
	}
	return all, err
}
