package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// day is how long a day is to a schedule.
const day = 24 * time.Hour

// Settings are how often and how long. They lie in the database as JSON.
type Settings struct {
	EveryMinutes int                    `json:"every_minutes"`
	Keep         string                 `json:"keep"`    // in words
	Watched      time.Time              `json:"watched"` // the newest time that the clock showed while expiry was looked after
	Since        time.Time              `json:"since"`   // since when the clock ran as it should; what is older than a jump proves nothing
	Pruned       time.Time              `json:"pruned,omitzero"`
	Oldest       map[string]time.Time   `json:"oldest,omitempty"`   // of the copies of keys at each place, when it was looked at last
	Exercised    time.Time              `json:"exercised,omitzero"` // the last exercise of the plan
	ExercisedBy  string                 `json:"exercised_by,omitempty"`
	SheetAt      time.Time              `json:"sheet_at,omitzero"` // when somebody said where the sheet is kept
	SheetKept    string                 `json:"sheet_kept,omitempty"`
	SheetBy      string                 `json:"sheet_by,omitempty"`
	SheetTargets int                    `json:"sheet_targets,omitempty"`
	ExerciseSaid string                 `json:"exercise_said,omitempty"`
	Kept         []string               `json:"kept,omitempty"`    // places that keep what is removed from them, and why
	Told         map[string]time.Time   `json:"told,omitempty"`    // when owners were told of a claim last
	Folders      map[string]folderState `json:"folders,omitempty"` // of devices, by place
}

// usualKeep is how long records are kept where nobody said otherwise.
const usualKeep = "every hour for two days, every day for five weeks, every month for seven years"

func (s Settings) every() time.Duration { return time.Duration(s.EveryMinutes) * time.Minute }

// Settings reads them.
func (b *Backup) Settings(ctx context.Context) (Settings, error) { return readSettings(ctx, b.DB) }

type rowReader interface {
	QueryRowContext(ctx context.Context, query string, args ...any) store.Row
}

func readSettings(ctx context.Context, db rowReader) (Settings, error) {
	s := Settings{EveryMinutes: 15, Keep: usualKeep}
	var text string
	err := db.QueryRowContext(ctx, `SELECT COALESCE((SELECT text FROM backup_settings WHERE one = 1), '{}')`).Scan(&text)
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	if err != nil {
		return s, fmt.Errorf("read backup settings: %w", err)
	}
	return s, nil
}

// change changes the settings in one transaction.
func (b *Backup) change(ctx context.Context, fn func(*Settings)) error {
	return b.DB.Update(ctx, func(tx *store.Tx) error { return changeIn(ctx, tx, fn) })
}

func changeIn(ctx context.Context, tx *store.Tx, fn func(*Settings)) error {
	s, err := readSettings(ctx, tx)
	if err != nil {
		return err
	}
	fn(&s)
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO backup_settings (one, text) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET text = excluded.text`, string(text))
	return err
}

// SetSchedule changes how often and how long, in words.
func (b *Backup) SetSchedule(ctx context.Context, everyMinutes int, keep string) error {
	if everyMinutes < 1 || everyMinutes > 7*24*60 {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "Backups run every 1 to 10,080 minutes.", Fix: "15 is usual.", Back: "/backups"}
	}
	if _, err := ParseKeep(keep); err != nil {
		return err
	}
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		if err := changeIn(ctx, tx, func(s *Settings) { s.EveryMinutes, s.Keep = everyMinutes, keep }); err != nil {
			return err
		}
		if err := b.warn(ctx, tx, "Backups are now made every "+web.Minutes(everyMinutes)+" and kept: "+keep+"."); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: b.Now(), Actor: id.From(ctx), Kind: "backup.schedule-changed"})
	})
}

// Rule keeps one state of each Every, for as long as For.
type Rule struct{ Every, For time.Duration }

var (
	ruleWords = regexp.MustCompile(`^every (hour|day|week|month|year) for (\w+) (hour|day|week|month|year)s?$`)
	units     = map[string]time.Duration{"hour": time.Hour, "day": day, "week": 7 * day, "month": 30 * day, "year": 365 * day}
	numbers   = []string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"}
)

// ParseKeep reads "every hour for two days, every month for seven years".
func ParseKeep(words string) ([]Rule, error) {
	var rules []Rule
	for part := range strings.SplitSeq(strings.ToLower(words), ",") {
		m := ruleWords.FindStringSubmatch(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(part), "and ")))
		n := -1
		if m != nil {
			if n = slices.Index(numbers, m[2]); n < 0 {
				if k, err := strconv.Atoi(m[2]); err == nil {
					n = k
				}
			}
		}
		if n < 1 || n > 1000 {
			return nil, &web.Error{Status: http.StatusUnprocessableEntity, Text: "How long backups are kept could not be read.", Fix: "Write it like: " + usualKeep + ".", Back: "/backups"}
		}
		rules = append(rules, Rule{units[m[1]], time.Duration(n) * units[m[3]]})
	}
	return rules, nil
}

// kept is one saved state as the rules see it.
type kept struct {
	id string
	at time.Time
}

// alwaysKept is how many of the newest states no rule removes.
const alwaysKept = 7

// toForget says which states no rule keeps. The clock that counts is that of the
// newest state, not of the wall: a clock set far ahead removes nothing.
func toForget(list []kept, rules []Rule) (forget []string) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b kept) int { return b.at.Compare(a.at) })
	if len(list) <= alwaysKept {
		return nil
	}
	newest := list[0].at
	keep := map[string]bool{}
	for _, k := range list[:alwaysKept] {
		keep[k.id] = true
	}
	for _, r := range rules {
		last := int64(-1)
		for i, k := range list {
			if newest.Sub(k.at) > r.For {
				break
			}
			if bucket := k.at.Unix() / int64(r.Every/time.Second); i == 0 || bucket != last {
				keep[k.id] = true
				last = bucket
			}
		}
	}
	for _, k := range list {
		if !keep[k.id] {
			forget = append(forget, k.id)
		}
	}
	return forget
}
