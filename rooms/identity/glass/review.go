package glass

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
)

// decisions are what a person may conclude. The program concludes nothing.
var decisions = []struct{ Key, Text string }{
	{"in-order", "It was in order"},
	{"to-discuss", "We talk about it, and what follows is not written here"},
	{"not-in-order", "It was not in order"},
}

func decisionText(key string) string {
	for _, d := range decisions {
		if d.Key == key {
			return d.Text
		}
	}
	return ""
}

// maySee tells whether a person may see that it happened: the owners, those who
// care for the patient, and who did it.
func maySee(roster *seal.Roster, b breaking, p id.Person) bool {
	return p == b.person || owner(roster, p) || cares(roster, b.care, p)
}

// mayDecide tells whether a person reviews a breaking: an owner who did not do it;
// where there is none, somebody who cares for the patient; in a practice in which
// nobody else is, the one who did it, and the page says so.
func mayDecide(roster *seal.Roster, b breaking, p id.Person) bool {
	others := func(counts func(id.Person) bool) (some bool) {
		for _, name := range roster.People() {
			some = some || id.Person(name) != b.person && counts(id.Person(name))
		}
		return some
	}
	owns := func(p id.Person) bool { return owner(roster, p) }
	treats := func(p id.Person) bool { return cares(roster, b.care, p) }
	switch {
	case others(owns):
		return p != b.person && owns(p)
	case others(treats):
		return p != b.person && treats(p)
	}
	return p == b.person
}

// errReviewed means that somebody else decided meanwhile.
var errReviewed = errors.New("glass: somebody else reviewed it")

// decide writes down a person's conclusion, once.
func (g *Glass) decide(ctx context.Context, b breaking, decision, words string) error {
	a, now := id.From(ctx), g.Now()
	var verdict []byte
	if words != "" {
		var err error
		if verdict, err = g.Vault.SealWords(ctx, b.patient, b.id+".verdict", words); err != nil {
			return err
		}
	}
	return g.DB.Update(ctx, func(tx *store.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE glass_breaks SET reviewer = $1, reviewed = $2, decided = $3, verdict = $4 WHERE break = $5 AND reviewed = 0`, a.Person, now.UnixMilli(), decision, verdict, b.id)
		if err != nil {
			return fmt.Errorf("review breaking %s: %w", b.id, err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(errReviewed, err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: a, Kind: "glass.reviewed", Subject: string(b.patient), Reason: decision, Ref: b.id})
	})
}

// looked is what was opened of one compartment.
type looked struct {
	What        string
	Times       int
	First, Last time.Time
}

// opened gathers from the ledger what was opened under a broken glass.
func (g *Glass) opened(ctx context.Context, b breaking) (all []looked, err error) {
	words := map[string]string{layer.PartChart: "Notes and files", layer.PartIdentity: "Name and contacts"}
	q := ledger.Query{Subject: string(b.patient), Kinds: []string{"vault.opened"}, Since: b.at, Until: b.ends.Add(time.Minute)}
	at := map[string]int{}
	for e, err := range g.Ledger.Facts(ctx, q) {
		if err != nil {
			return nil, err
		}
		if e.Reason != "glass" || e.Actor.Session != b.session {
			continue
		}
		n, ok := at[e.Part]
		if !ok {
			n, at[e.Part] = len(all), len(all)
			all = append(all, looked{What: words[e.Part], First: e.At})
		}
		all[n].Times++
		all[n].Last = e.At
	}
	return all, nil
}
