package identity

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// Kinds of kept things.
const (
	keptSession   = "session"   // a sealed ring, up to 12 hours
	keptProof     = "proof"     // the second cookie, up to 10 minutes
	keptCeremony  = "ceremony"  // a stranger's passkey challenge, 2 minutes
	keptFriend    = "friend"    // the same of a session or of a known browser
	keptTap       = "tap"       // a seed, sealed to the ticket that a tap gave, 2 minutes
	keptClaim     = "claim"     // the link that founds the practice, 30 minutes
	keptApproval  = "approval"  // an act that waits for an owner's tap, 10 minutes
	keptChallenge = "challenge" // of a renewal, 1 minute
	keptJoin      = "join"      // what a newcomer has made so far, sealed under the link; 7 days
	keptKit       = "kit"       // a proof that a kit is asked for, 10 minutes; the pass that it gave, 15
	keptNews      = "news"      // a team's new key, sealed to a session; as long as the session
)

// mostCeremonies bounds what strangers can make the house keep: the oldest go
// first, and somebody who signs in needs one for some seconds. One network has
// 720 at most (doorBurst, and doorRefill for two minutes), so that it pushes out
// nobody else's; and those of friends are not among them.
const mostCeremonies = 20_000

// errGone means that nothing is kept under this key, or not any more.
var errGone = errors.New("identity: nothing is kept under this key")

// kept holds short-lived values by key, each with its end. Nothing of it ever
// reaches a write-ahead log, a replica or a backup: a restart locks everybody,
// and one tap resumes.
type kept interface {
	put(ctx context.Context, kind, key string, value []byte, ends time.Time) error
	// replace is put for what is there already: what somebody has ended meanwhile
	// does not come back. errGone then.
	replace(ctx context.Context, kind, key string, value []byte) error
	get(ctx context.Context, kind, key string, now time.Time) ([]byte, error)
	// take returns a value and forgets it: of two callers one gets it.
	take(ctx context.Context, kind, key string, now time.Time) ([]byte, error)
	// all returns what is kept of a kind, by key. db may be a transaction.
	all(ctx context.Context, db reader, kind string, now time.Time) (map[string][]byte, error)
	// drop forgets things with the commit of a transaction.
	drop(ctx context.Context, tx *store.Tx, kind string, keys ...string) error
	// sweep forgets what has ended, and the oldest ceremonies above a number.
	sweep(ctx context.Context, now time.Time, most int) error
}

// keeper returns the one that fits the database.
func keeper(db *store.DB, key seal.Key) kept {
	if db != nil && db.Kind() == store.Postgres {
		return tables{db, key}
	}
	return &memory{things: map[string]thing{}}
}

// secretKey is the name under which something is kept that a secret leads to.
// Whoever reads the name learns nothing of the secret.
func secretKey(label string, secret []byte) string {
	sum := sha256.Sum256(slices.Concat([]byte("quietroom kept "+label+" v1 "), secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// memory keeps things in this process.
type memory struct {
	mu         sync.Mutex
	things     map[string]thing
	ceremonies []string // in order of their making, some gone
}

type thing struct {
	value []byte
	ends  time.Time
}

func (m *memory) put(_ context.Context, kind, key string, value []byte, ends time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if kind == keptCeremony {
		m.ceremonies = append(m.ceremonies, key)
		m.thin(mostCeremonies)
	}
	m.things[kind+"/"+key] = thing{slices.Clone(value), ends}
	return nil
}

func (m *memory) replace(_ context.Context, kind, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.things[kind+"/"+key]
	if !ok {
		return errGone
	}
	clear(t.value)
	m.things[kind+"/"+key] = thing{slices.Clone(value), t.ends}
	return nil
}

// thin forgets the oldest ceremonies above a number.
func (m *memory) thin(most int) {
	for len(m.ceremonies) > most {
		m.forget(keptCeremony + "/" + m.ceremonies[0])
		m.ceremonies = m.ceremonies[1:]
	}
}

func (m *memory) get(_ context.Context, kind, key string, now time.Time) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.things[kind+"/"+key]
	if !ok || !now.Before(t.ends) {
		return nil, errGone
	}
	return slices.Clone(t.value), nil
}

func (m *memory) take(ctx context.Context, kind, key string, now time.Time) ([]byte, error) {
	v, err := m.get(ctx, kind, key, now)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.forget(kind + "/" + key) {
		return nil, errGone
	}
	return v, nil
}

// forget wipes and removes a thing; false if it was not there.
func (m *memory) forget(key string) bool {
	t, ok := m.things[key]
	clear(t.value)
	delete(m.things, key)
	return ok
}

func (m *memory) all(_ context.Context, _ reader, kind string, now time.Time) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string][]byte{}
	for key, t := range m.things {
		if name, ok := strings.CutPrefix(key, kind+"/"); ok && now.Before(t.ends) {
			all[name] = slices.Clone(t.value)
		}
	}
	return all, nil
}

func (m *memory) drop(_ context.Context, tx *store.Tx, kind string, keys ...string) error {
	tx.OnCommit(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, key := range keys {
			m.forget(kind + "/" + key)
		}
	})
	return nil
}

func (m *memory) sweep(_ context.Context, now time.Time, most int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, t := range m.things {
		if !now.Before(t.ends) {
			m.forget(key)
		}
	}
	m.ceremonies = slices.DeleteFunc(m.ceremonies, func(key string) bool {
		_, ok := m.things[keptCeremony+"/"+key]
		return !ok
	})
	m.thin(most)
	return nil
}

// tables keeps things in an UNLOGGED table, so that any server answers any
// request. Each value is sealed to its name and its end: who can write the
// database and has no key of the house makes no approval, moves no session and
// lengthens none. To such a one what is kept can only get lost.
type tables struct {
	db  *store.DB
	key seal.Key
}

func keptSlot(kind, key string, ends int64) seal.Slot {
	return seal.Slot{Kind: "kept", Record: kind + " " + key, Version: uint64(ends)}
}

func (t tables) put(ctx context.Context, kind, key string, value []byte, ends time.Time) error {
	end := ends.UnixMilli()
	box := t.key.Seal(value, keptSlot(kind, key, end))
	return t.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO identity_kept (kind, key, value, ends) VALUES ($1, $2, $3, $4)
			ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, ends = excluded.ends`, kind, key, box, end)
		if err != nil {
			return fmt.Errorf("keep a %s: %w", kind, err)
		}
		return nil
	})
}

func (t tables) replace(ctx context.Context, kind, key string, value []byte) error {
	return t.db.Update(ctx, func(tx *store.Tx) error {
		var end int64
		if err := tx.QueryRowContext(ctx, `SELECT ends FROM identity_kept WHERE kind = $1 AND key = $2`, kind, key).Scan(&end); err != nil {
			return keptError(kind, err)
		}
		res, err := tx.ExecContext(ctx, `UPDATE identity_kept SET value = $1 WHERE kind = $2 AND key = $3 AND ends = $4`, t.key.Seal(value, keptSlot(kind, key, end)), kind, key, end)
		if err != nil {
			return fmt.Errorf("keep a %s: %w", kind, err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(errGone, err)
		}
		return nil
	})
}

func (t tables) get(ctx context.Context, kind, key string, now time.Time) ([]byte, error) {
	var box []byte
	var end int64
	err := t.db.QueryRowContext(ctx, `SELECT value, ends FROM identity_kept WHERE kind = $1 AND key = $2 AND ends > $3`, kind, key, now.UnixMilli()).Scan(&box, &end)
	return t.open(kind, key, box, end, err)
}

func (t tables) take(ctx context.Context, kind, key string, now time.Time) ([]byte, error) {
	var box []byte
	var end int64
	err := t.db.Update(ctx, func(tx *store.Tx) error {
		return tx.QueryRowContext(ctx, `DELETE FROM identity_kept WHERE kind = $1 AND key = $2 AND ends > $3 RETURNING value, ends`, kind, key, now.UnixMilli()).Scan(&box, &end)
	})
	return t.open(kind, key, box, end, err)
}

func (t tables) all(ctx context.Context, db reader, kind string, now time.Time) (map[string][]byte, error) {
	rows, err := db.QueryContext(ctx, `SELECT key, value, ends FROM identity_kept WHERE kind = $1 AND ends > $2`, kind, now.UnixMilli())
	if err != nil {
		return nil, keptError(kind, err)
	}
	defer rows.Close()
	all := map[string][]byte{}
	for rows.Next() {
		var key string
		var box []byte
		var end int64
		if err := rows.Scan(&key, &box, &end); err != nil {
			return nil, keptError(kind, err)
		}
		value, err := t.open(kind, key, box, end, nil)
		if errors.Is(err, errGone) {
			continue // not sealed by this house
		}
		if err != nil {
			return nil, err
		}
		all[key] = value
	}
	return all, keptError(kind, rows.Err())
}

func (t tables) drop(ctx context.Context, tx *store.Tx, kind string, keys ...string) error {
	for _, key := range keys {
		if err := tx.Send(ctx, `DELETE FROM identity_kept WHERE kind = $1 AND key = $2`, kind, key); err != nil {
			return fmt.Errorf("end a %s: %w", kind, err)
		}
	}
	return nil
}

// open opens what was read; a value that this house did not seal is none.
func (t tables) open(kind, key string, box []byte, end int64, err error) ([]byte, error) {
	if err != nil {
		return nil, keptError(kind, err)
	}
	value, err := t.key.Open(box, keptSlot(kind, key, end))
	if err != nil {
		return nil, errGone
	}
	return value, nil
}

func (t tables) sweep(ctx context.Context, now time.Time, most int) error {
	return t.db.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM identity_kept WHERE ends <= $1`, now.UnixMilli()); err != nil {
			return fmt.Errorf("sweep what is kept: %w", err)
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM identity_kept WHERE kind = $1 AND key IN
			(SELECT key FROM identity_kept WHERE kind = $1 ORDER BY ends DESC OFFSET $2)`, keptCeremony, most)
		return err
	})
}

func keptError(kind string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errGone
	}
	if err != nil {
		return fmt.Errorf("read a kept %s: %w", kind, err)
	}
	return nil
}
