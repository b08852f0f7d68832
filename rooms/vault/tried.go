package vault

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
)

// Whether wrapped keys open, only people's own keys can show. What is opened
// here is wiped at once: no key and no record is given to anybody.

// KeySum stands for one wrapped key: where it belongs, and its bytes.
type KeySum = [16]byte

// KeysByTeam counts the wrapped keys of each team. It needs no keys.
func (v *Vault) KeysByTeam(ctx context.Context) (map[id.Team]int, error) {
	rows, err := v.DB.QueryContext(ctx, `SELECT team, count(*) FROM vault_wraps GROUP BY team`)
	if err != nil {
		return nil, fmt.Errorf("count keys: %w", err)
	}
	defer rows.Close()
	held := map[id.Team]int{}
	for rows.Next() {
		var team id.Team
		var n int
		if err := rows.Scan(&team, &n); err != nil {
			return nil, fmt.Errorf("count keys: %w", err)
		}
		held[team] = n
	}
	return held, rows.Err()
}

// MyTeams are the teams whose newest key the acting person holds.
func (v *Vault) MyTeams(ctx context.Context) (mine []id.Team, err error) {
	all, err := v.teams(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range all.all {
		if t.Mine {
			mine = append(mine, t.ID)
		}
	}
	return mine, nil
}

// TryKeys opens wrapped keys of one team with the acting person's own, and the
// older versions that they wrap, in order after a place that an earlier call
// returned. each gets what stands for the key and why it did not open: ErrNotYours
// where the person joined after the team's key of that number; false ends the call. The place is empty when all were tried.
func (v *Vault) TryKeys(ctx context.Context, team id.Team, after string, each func(KeySum, error) bool) (next string, err error) {
	all, err := v.teams(ctx)
	if err != nil {
		return after, err
	}
	const together = 500
	for {
		list, err := v.wrapsOfTeam(ctx, team, after, together)
		if err != nil {
			return after, err
		}
		for _, k := range list {
			key, err := v.unwrap(ctx, all, k.patient, k.part, k.wrap)
			if err == nil && k.version > 1 {
				r := &ring{patient: k.patient, part: k.part, newest: k.version, keys: map[uint64]seal.Key{k.version: key}}
				err = v.openOlder(ctx, r)
				r.wipe()
			}
			key.Wipe()
			if ctx.Err() != nil {
				return after, ctx.Err()
			}
			after = k.place()
			if !each(k.sum(), err) {
				return after, nil
			}
		}
		if len(list) < together {
			return "", nil
		}
	}
}

// KeySums are the sums of all wrapped keys that lie in a database, which may be
// one that was brought back, by team. It needs no keys.
func (v *Vault) KeySums(ctx context.Context, db *store.DB) (map[id.Team][]KeySum, error) {
	rows, err := db.QueryContext(ctx, `SELECT patient, part, version, team, epoch, inbox, box, tag, tagged FROM vault_wraps`)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	defer rows.Close()
	sums := map[id.Team][]KeySum{}
	for rows.Next() {
		var k teamWrap
		if err := k.scan(rows); err != nil {
			return nil, fmt.Errorf("read keys: %w", err)
		}
		sums[k.team] = append(sums[k.team], k.sum())
	}
	return sums, rows.Err()
}

// teamWrap is one row of vault_wraps with what it belongs to.
type teamWrap struct {
	wrap
	patient id.Patient
	part    string
}

func (k *teamWrap) scan(row interface{ Scan(...any) error }) error {
	var inbox int
	err := row.Scan(&k.patient, &k.part, &k.version, &k.team, &k.epoch, &inbox, &k.box, &k.tag, &k.tagged)
	k.inbox = inbox == 1
	return err
}

// sum covers all that opening the key depends on.
func (k *teamWrap) sum() (s KeySum) {
	h := sha256.New()
	sumParts(h, k.version, []byte(k.patient), []byte(k.part), []byte(k.team), k.box, k.tag)
	sumParts(h, k.epoch)
	sumParts(h, k.tagged)
	copy(s[:], h.Sum(nil))
	return s
}

func (k *teamWrap) place() string {
	return string(k.patient) + "." + k.part + "." + strconv.FormatUint(k.version, 10)
}

func (v *Vault) wrapsOfTeam(ctx context.Context, team id.Team, after string, most int) (list []teamWrap, err error) {
	patient, rest, _ := strings.Cut(after, ".")
	part, number, _ := strings.Cut(rest, ".")
	version, _ := strconv.ParseUint(number, 10, 63)
	rows, err := v.DB.QueryContext(ctx, `SELECT patient, part, version, team, epoch, inbox, box, tag, tagged FROM vault_wraps
		WHERE patient >= $1 AND (patient > $1 OR part > $2 OR part = $2 AND version > $3) AND team = $4 ORDER BY patient, part, version LIMIT $5`, patient, part, version, team, most)
	if err != nil {
		return nil, fmt.Errorf("read keys of a team: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var k teamWrap
		if err := k.scan(rows); err != nil {
			return nil, fmt.Errorf("read keys of a team: %w", err)
		}
		list = append(list, k)
	}
	return list, rows.Err()
}
