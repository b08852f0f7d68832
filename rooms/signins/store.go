package signins

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/rooms/signins/logs"
)

// keptFor is how long what the rules need is kept: longer than any provider
// keeps its log. Findings stay.
const keptFor = 400 * 24 * time.Hour

func (s *Signins) forget(ctx context.Context) error {
	old := s.Now().Add(-keptFor).UnixMilli()
	var n int
	err := s.DB.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM signins_visits WHERE last < $1) + (SELECT COUNT(*) FROM signins_prompts WHERE at < $1)`, old).Scan(&n)
	if err != nil || n == 0 {
		return err
	}
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		for _, text := range []string{`DELETE FROM signins_visits WHERE last < $1`, `DELETE FROM signins_prompts WHERE at < $1`} {
			if err := tx.Send(ctx, text, old); err != nil {
				return fmt.Errorf("forget old sign-ins: %w", err)
			}
		}
		return nil
	})
}

// tenants are the numbers and domains of the practice, by provider.
func (s *Signins) tenants(ctx context.Context) (map[logs.Kind]map[string]bool, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT kind, name FROM signins_tenants`)
	if err != nil {
		return nil, fmt.Errorf("read whose logs are ours: %w", err)
	}
	defer rows.Close()
	known := map[logs.Kind]map[string]bool{}
	for rows.Next() {
		var kind logs.Kind
		var name string
		if err := rows.Scan(&kind, &name); err != nil {
			return nil, fmt.Errorf("read whose logs are ours: %w", err)
		}
		if known[kind] == nil {
			known[kind] = map[string]bool{}
		}
		known[kind][name] = true
	}
	return known, rows.Err()
}

// name adds a number or domain that an owner typed.
func (s *Signins) name(ctx context.Context, kind logs.Kind, name string) error {
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Send(ctx, `INSERT INTO signins_tenants (kind, name) VALUES ($1, $2) ON CONFLICT (kind, name) DO NOTHING`, string(kind), name); err != nil {
			return fmt.Errorf("keep whose logs are ours: %w", err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: s.Now(), Actor: id.From(ctx), Kind: "signins.organisation-named", Part: string(kind)})
	})
}

// weigh looks at one mailbox anew, and keeps what is worth a question: what is
// new gets a fact, what grew is one finding still.
func (s *Signins) weigh(ctx context.Context, mailbox string) error {
	prompts, visits, err := s.told(ctx, mailbox)
	if err != nil {
		return err
	}
	now := judge(prompts, visits)
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		subject := mailbox
		var person string
		if err := tx.QueryRowContext(ctx, `SELECT person FROM signins_mailboxes WHERE mailbox = $1`, mailbox).Scan(&person); err == nil && person != "" {
			subject = person
		}
		for _, f := range now {
			if err := s.keepFinding(ctx, tx, mailbox, subject, f); err != nil {
				return err
			}
		}
		return nil
	})
}

// factKinds are the facts that findings become, for whoever looks into an incident.
var factKinds = map[string]string{kindPrompts: "signins.prompts-refused", kindLegacy: "signins.old-protocol", kindOne: "signins.one-factor", kindTravel: "signins.far-apart"}

func (s *Signins) keepFinding(ctx context.Context, tx *store.Tx, mailbox, subject string, f finding) error {
	var number string
	var started, ended, times, accepted int64
	query := `SELECT finding, started, ended, times, accepted FROM signins_findings WHERE mailbox = $1 AND kind = $2 AND word = $3 AND started <= $4 AND ended >= $5 ORDER BY started LIMIT 1`
	if f.Kind == kindLegacy || f.Kind == kindOne {
		query = `SELECT finding, started, ended, times, accepted FROM signins_findings WHERE mailbox = $1 AND kind = $2 AND word = $3 AND CAST($4 AS BIGINT) + CAST($5 AS BIGINT) <> 0 LIMIT 1`
	}
	err := tx.QueryRowContext(ctx, query, mailbox, f.Kind, f.Word, f.To.UnixMilli(), f.From.UnixMilli()).Scan(&number, &started, &ended, &times, &accepted)
	fact := ledger.Fact{At: s.Now(), Actor: id.From(ctx), Kind: factKinds[f.Kind], Subject: subject, Part: f.Word}
	yes := int64(0)
	if f.Accepted {
		yes = 1
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		number = string(id.New[id.Record]())
		err := tx.Send(ctx, `INSERT INTO signins_findings (finding, mailbox, kind, word, started, ended, times, accepted, found) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			number, mailbox, f.Kind, f.Word, f.From.UnixMilli(), f.To.UnixMilli(), f.Times, yes, s.Now().UnixMilli())
		if err != nil {
			return fmt.Errorf("keep a finding: %w", err)
		}
		fact.Ref = number
		if err := ledger.Append(ctx, tx, fact); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("look for a finding: %w", err)
	default:
		from, to := min(started, f.From.UnixMilli()), max(ended, f.To.UnixMilli())
		if from == started && to == ended && int64(f.Times) <= times && yes <= accepted {
			return nil
		}
		reopen := `concluded`
		if f.Kind == kindPrompts || f.Kind == kindTravel {
			reopen = `0` // it is more than was decided upon
		}
		if err := tx.Send(ctx, `UPDATE signins_findings SET started = $2, ended = $3, times = $4, accepted = $5, concluded = `+reopen+` WHERE finding = $1`, number, from, to, max(times, int64(f.Times)), max(accepted, yes)); err != nil {
			return fmt.Errorf("keep a finding: %w", err)
		}
	}
	if yes > accepted {
		fact.Kind, fact.Ref = "signins.prompt-accepted", number
		return ledger.Append(ctx, tx, fact)
	}
	return nil
}

// told is what is known of a mailbox, in the order of time.
func (s *Signins) told(ctx context.Context, mailbox string) (prompts []time.Time, visits []visit, err error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT at FROM signins_prompts WHERE mailbox = $1 ORDER BY at`, mailbox)
	if err != nil {
		return nil, nil, fmt.Errorf("read prompts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var at int64
		if err := rows.Scan(&at); err != nil {
			return nil, nil, fmt.Errorf("read prompts: %w", err)
		}
		prompts = append(prompts, moment(at))
	}
	if err := rows.Err(); err != nil {
		return nil, nil, fmt.Errorf("read prompts: %w", err)
	}
	spans, err := s.DB.QueryContext(ctx, `SELECT place, box, first, last, how FROM signins_visits WHERE mailbox = $1 ORDER BY first, last, place`, mailbox)
	if err != nil {
		return nil, nil, fmt.Errorf("read visits: %w", err)
	}
	defer spans.Close()
	places := map[string]place{}
	for spans.Next() {
		var v visit
		var tag string
		var box []byte
		var first, last int64
		if err := spans.Scan(&tag, &box, &first, &last, &v.How); err != nil {
			return nil, nil, fmt.Errorf("read visits: %w", err)
		}
		where, ok := places[tag]
		if !ok {
			plain, err := s.Key.Open(box, s.slot("sign-in-place", tag))
			if err != nil {
				return nil, nil, fmt.Errorf("read visits: %w", err)
			}
			if err := json.Unmarshal(plain, &where); err != nil {
				return nil, nil, fmt.Errorf("read visits: %w", err)
			}
			places[tag] = where
		}
		v.place, v.First, v.Last = where, moment(first), moment(last)
		visits = append(visits, v)
	}
	return prompts, visits, spans.Err()
}

// asksAgain is for how long an old habit counts as explained.
const asksAgain = 90 * 24 * time.Hour

// found is a finding as it is kept.
type found struct {
	finding
	Number, Mailbox, Address string
	Provider                 logs.Kind
	Whose, by                id.Person
	Found, Concluded         time.Time
	Conclusion               string
}

// Open tells whether nobody has said yet what it was.
func (f found) Open(now time.Time) bool {
	habit := f.Kind == kindLegacy || f.Kind == kindOne
	return f.Concluded.IsZero() || habit && now.After(f.Concluded.Add(asksAgain)) && f.To.After(f.Concluded)
}

func (s *Signins) findings(ctx context.Context) (all []found, err error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT f.finding, f.mailbox, f.kind, f.word, f.started, f.ended, f.times, f.accepted, f.found, f.concluded, f.conclusion, f.person, m.box, m.person, m.kind
		FROM signins_findings f JOIN signins_mailboxes m ON m.mailbox = f.mailbox ORDER BY f.ended DESC, f.finding`)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var f found
		var started, ended, accepted, at, concluded int64
		var box []byte
		if err := rows.Scan(&f.Number, &f.Mailbox, &f.Kind, &f.Word, &started, &ended, &f.Times, &accepted, &at, &concluded, &f.Conclusion, &f.by, &box, &f.Whose, &f.Provider); err != nil {
			return nil, fmt.Errorf("read findings: %w", err)
		}
		address, err := s.Key.Open(box, s.slot("sign-in-mailbox", f.Mailbox))
		if err != nil {
			return nil, fmt.Errorf("read findings: %w", err)
		}
		f.Address, f.From, f.To, f.Accepted, f.Found, f.Concluded = string(address), moment(started), moment(ended), accepted == 1, moment(at), moment(concluded)
		all = append(all, f)
	}
	return all, rows.Err()
}

// conclude keeps what a person says a finding was.
func (s *Signins) conclude(ctx context.Context, number, conclusion string) error {
	now, actor := s.Now(), id.From(ctx)
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE signins_findings SET concluded = $2, conclusion = $3, person = $4 WHERE finding = $1`, number, now.UnixMilli(), conclusion, string(actor.Person))
		if err != nil {
			return fmt.Errorf("conclude %s: %w", number, err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(errUnknown, err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: actor, Kind: "signins.concluded", Reason: conclusion, Ref: number})
	})
}

// imported is one import as it is kept.
type imported struct {
	report
	Number       string
	At           time.Time
	By           id.Person
	Kind         logs.Kind
	Since, Until time.Time
}

func (s *Signins) imports(ctx context.Context, where string, args ...any) (all []imported, err error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT import, at, person, kind, since, until, box FROM signins_imports WHERE `+where+` ORDER BY at DESC, import LIMIT 12`, args...)
	if err != nil {
		return nil, fmt.Errorf("read imports: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var i imported
		var at, since, until int64
		var box []byte
		if err := rows.Scan(&i.Number, &at, &i.By, &i.Kind, &since, &until, &box); err != nil {
			return nil, fmt.Errorf("read imports: %w", err)
		}
		plain, err := s.Key.Open(box, s.slot("sign-in-import", i.Number))
		if err == nil {
			err = json.Unmarshal(plain, &i.report)
		}
		if err != nil {
			return nil, fmt.Errorf("read import %s: %w", i.Number, err)
		}
		i.At, i.Since, i.Until = moment(at), moment(since), moment(until)
		all = append(all, i)
	}
	return all, rows.Err()
}

// check is one item of a checklist that somebody says is done.
type check struct {
	by id.Person
	At time.Time
}

func (s *Signins) checks(ctx context.Context) (map[[2]string]check, error) {
	rows, err := s.DB.QueryContext(ctx, `SELECT kind, item, person, at FROM signins_checks`)
	if err != nil {
		return nil, fmt.Errorf("read checks: %w", err)
	}
	defer rows.Close()
	all := map[[2]string]check{}
	for rows.Next() {
		var kind, item string
		var c check
		var at int64
		if err := rows.Scan(&kind, &item, &c.by, &at); err != nil {
			return nil, fmt.Errorf("read checks: %w", err)
		}
		c.At = moment(at)
		all[[2]string{kind, item}] = c
	}
	return all, rows.Err()
}

// state keeps that an item is done, or takes it back.
func (s *Signins) state(ctx context.Context, kind, item string, done bool) error {
	now, actor := s.Now(), id.From(ctx)
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Send(ctx, `DELETE FROM signins_checks WHERE kind = $1 AND item = $2`, kind, item); err != nil {
			return fmt.Errorf("keep a check: %w", err)
		}
		fact := ledger.Fact{At: now, Actor: actor, Kind: "signins.check-withdrawn", Part: kind, Reason: item}
		if done {
			fact.Kind = "signins.check-stated"
			if err := tx.Send(ctx, `INSERT INTO signins_checks (kind, item, person, at) VALUES ($1, $2, $3, $4)`, kind, item, string(actor.Person), now.UnixMilli()); err != nil {
				return fmt.Errorf("keep a check: %w", err)
			}
		}
		return ledger.Append(ctx, tx, fact)
	})
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
