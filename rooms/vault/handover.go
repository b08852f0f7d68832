package vault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// Handing patients over when somebody leaves: each of them gets another care
// team, and new keys with it, by somebody who can open them.

// Caring counts the patients of each team whose charts it holds a key of. It
// needs no keys.
func (v *Vault) Caring(ctx context.Context) (map[id.Team]int, error) {
	rows, err := v.DB.QueryContext(ctx, `SELECT team, count(DISTINCT patient) FROM vault_wraps WHERE part = $1 GROUP BY team`, Chart)
	if err != nil {
		return nil, fmt.Errorf("count patients by team: %w", err)
	}
	defer rows.Close()
	caring := map[id.Team]int{}
	for rows.Next() {
		var team id.Team
		var n int
		if err := rows.Scan(&team, &n); err != nil {
			return nil, fmt.Errorf("count patients by team: %w", err)
		}
		caring[team] = n
	}
	return caring, rows.Err()
}

// handLanes is how many acts are under way at once while patients are handed
// over, and handAtOnce how many patients go in one act.
const (
	handLanes  = 8
	handAtOnce = 8
)

// HandOver gives patients of one care team to another instead, in order of id
// after one, at most so many: chart, drafts and billing under new keys, whole or
// not at all. closed counts those whom the acting person's keys do not reach, or
// whose rows were changed from outside: they stay as they are, and facts tell of
// them. next is the last one that was looked at; empty when there are no more.
func (v *Vault) HandOver(ctx context.Context, from, to id.Team, after id.Patient, most int) (moved, closed int, next id.Patient, err error) {
	patients, err := v.patientsOfTeam(ctx, from, after, most)
	if err != nil || len(patients) == 0 {
		return 0, 0, "", err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	lanes := make(chan struct{}, handLanes)
	for some := range slices.Chunk(patients, handAtOnce) {
		lanes <- struct{}{}
		wg.Go(func() {
			defer func() { <-lanes }()
			given, shut, failed := v.handSome(ctx, from, to, some)
			mu.Lock()
			defer mu.Unlock()
			moved, closed, err = moved+given, closed+shut, errors.Join(err, failed)
		})
	}
	wg.Wait()
	if len(patients) == most {
		next = patients[most-1]
	}
	return moved, closed, next, err
}

// patientsOfTeam lists patients whose charts a team holds, in order of id.
func (v *Vault) patientsOfTeam(ctx context.Context, team id.Team, after id.Patient, most int) (patients []id.Patient, err error) {
	rows, err := v.DB.QueryContext(ctx, `SELECT DISTINCT patient FROM vault_wraps WHERE team = $1 AND part = $2 AND patient > $3 ORDER BY patient LIMIT $4`, team, Chart, after, most)
	if err != nil {
		return nil, fmt.Errorf("list patients of team %s: %w", team, err)
	}
	defer rows.Close()
	for rows.Next() {
		var p id.Patient
		if err := rows.Scan(&p); err != nil {
			return nil, fmt.Errorf("list patients of team %s: %w", team, err)
		}
		patients = append(patients, p)
	}
	return patients, rows.Err()
}

// handSome hands some patients over in one act. Where somebody wrote in the same
// moment, each is tried again alone.
func (v *Vault) handSome(ctx context.Context, from, to id.Team, patients []id.Patient) (moved, closed int, err error) {
	for range 3 {
		moved, closed, err = v.handAct(ctx, from, to, patients)
		if !errors.Is(err, ErrConflict) || len(patients) > 1 {
			break
		}
	}
	if !errors.Is(err, ErrConflict) || len(patients) == 1 {
		return moved, closed, err
	}
	moved, closed, err = 0, 0, nil
	for _, p := range patients {
		given, shut, failed := v.handSome(ctx, from, to, []id.Patient{p})
		moved, closed, err = moved+given, closed+shut, errors.Join(err, failed)
	}
	return moved, closed, err
}

func (v *Vault) handAct(ctx context.Context, from, to id.Team, patients []id.Patient) (moved, closed int, err error) {
	b, err := v.Begin(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer b.Drop()
	for _, p := range patients {
		given, err := b.handOver(ctx, p, from, to)
		switch {
		case errors.Is(err, ErrNotYours), errors.Is(err, ErrChanged):
			closed++
		case err != nil:
			return 0, 0, err
		case given:
			moved++
		}
	}
	if moved == 0 {
		return 0, closed, nil
	}
	if err := b.Commit(ctx); err != nil {
		return 0, 0, err
	}
	return moved, closed, nil
}

// handOver plans one patient's way. All that has to be opened is opened before
// anything is planned, so that a patient goes whole.
func (b *Batch) handOver(ctx context.Context, p id.Patient, from, to id.Team) (given bool, err error) {
	who, err := b.open(ctx, p, Identity)
	if err != nil {
		return false, err
	}
	for _, part := range []string{Chart, Billing} {
		if _, err := b.open(ctx, p, part); err != nil && !(part == Billing && errors.Is(err, ErrUnknown)) {
			return false, err
		}
	}
	card, _, err := who.Card(ctx)
	if err != nil {
		return false, err
	}
	care := slices.Clone(card.Care)
	for i := range care {
		if care[i] == from {
			care[i] = to
		}
	}
	slices.Sort(care)
	return true, b.SetCare(ctx, p, slices.Compact(care))
}

// writtenMost bounds WrittenSince: the newest so many.
const writtenMost = 1000

// WrittenSince counts the newest records that were written since a moment, 1,000
// at most, and how many of them lie under a key that is wrapped for a team under
// its key of such a number or an older one. It needs no keys.
func (v *Vault) WrittenSince(ctx context.Context, since time.Time, held map[id.Team]uint64) (written, reached int, err error) {
	for e, err := range v.Ledger.Facts(ctx, ledger.Query{Kinds: []string{"vault.written", "vault.admitted"}, Since: since, Newest: true, Limit: writtenMost}) {
		if err != nil {
			return written, reached, err
		}
		open, known, err := v.reached(ctx, e, held)
		if err != nil {
			return written, reached, err
		}
		if known {
			written++
		}
		if open {
			reached++
		}
	}
	return written, reached, nil
}

// reached tells whether a record's key is wrapped under one of these team keys.
func (v *Vault) reached(ctx context.Context, e ledger.Entry, held map[id.Team]uint64) (open, known bool, err error) {
	rec := strings.TrimPrefix(e.Record, e.Part+".")
	var keyed uint64
	err = v.DB.QueryRowContext(ctx, `SELECT keyed FROM vault_records WHERE record = $1 AND patient = $2 AND part = $3`, rec, e.Subject, e.Part).Scan(&keyed)
	if errors.Is(err, sql.ErrNoRows) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("read record %s: %w", rec, err)
	}
	rows, err := v.DB.QueryContext(ctx, `SELECT team, epoch FROM vault_wraps WHERE patient = $1 AND part = $2 AND version = $3`, e.Subject, e.Part, keyed)
	if err != nil {
		return false, false, fmt.Errorf("read keys of patient %s: %w", e.Subject, err)
	}
	defer rows.Close()
	for rows.Next() {
		var team id.Team
		var epoch uint64
		if err := rows.Scan(&team, &epoch); err != nil {
			return false, false, fmt.Errorf("read keys of patient %s: %w", e.Subject, err)
		}
		if n, ok := held[team]; ok && epoch <= n {
			open = true
		}
	}
	return open, true, rows.Err()
}

// Reach is what somebody who left does with an old copy and the keys of that
// time: the old rows give away patients' keys, and all of these are tried on
// everything that wraps and holds given records now. It returns how many of the
// records opened, and how many keys there were. It is for drills.
func (a Attempt) Reach(ctx context.Context, now *store.DB, records []id.Record) (opened, keys int, err error) {
	old := a.thief(map[opening]map[uint64]seal.Key{})
	for _, attack := range []func(context.Context) error{old.wraps, old.older} {
		if err := attack(ctx); err != nil {
			return 0, 0, fmt.Errorf("try keys on an old copy: %w", err)
		}
	}
	b := a
	b.DB, b.Keys = now, append(slices.Clone(a.Keys), old.keysWon()...)
	later := b.thief(old.won)
	for _, attack := range []func(context.Context) error{later.wraps, later.older} {
		if err := attack(ctx); err != nil {
			return 0, 0, fmt.Errorf("try keys on the rows of today: %w", err)
		}
	}
	all := append(b.Keys, later.keysWon()...)
	bunch, room := seal.NewBunch(all), make([]byte, 0, inline+4096)
	for _, rec := range records {
		open, err := later.opens(ctx, bunch, room, rec)
		if err != nil {
			return opened, len(all), err
		}
		if open {
			opened++
		}
	}
	return opened, len(all), nil
}

func (a Attempt) thief(won map[opening]map[uint64]seal.Key) *thief {
	return &thief{Attempt: a, v: &Vault{Config: Config{Practice: a.Practice}}, keys: seal.NewBunch(a.Keys), near: seal.NewBunch(a.Near), won: won}
}

func (t *thief) keysWon() (keys []seal.Key) {
	for _, versions := range t.won {
		for _, k := range versions {
			keys = append(keys, k)
		}
	}
	return keys
}

// opens tries all keys on one record's head and body.
func (t *thief) opens(ctx context.Context, all *seal.Bunch, room []byte, rec id.Record) (bool, error) {
	var o opening
	var r row
	err := t.DB.QueryRowContext(ctx, `SELECT patient, part, version, keyed, head, box FROM vault_records WHERE record = $1`, rec).Scan(&o.patient, &o.part, &r.Version, &r.keyed, &r.head, &r.box)
	if err != nil {
		return false, fmt.Errorf("read record %s: %w", rec, err)
	}
	slot := t.v.slot("head", fmt.Sprint(r.keyed), o.patient, o.part)
	slot.Record, slot.Version = string(rec), r.Version
	_, head := t.try(all, room, r.head, slot)
	slot.Kind = "record"
	_, body := t.try(all, room, r.box, slot)
	return head || body, nil
}
