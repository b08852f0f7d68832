package vault

import (
	"context"
	"fmt"
	"iter"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"quietroom/layer"
)

// Layer describes the room to the house.
func (v *Vault) Layer() layer.Layer {
	return layer.Layer{
		Name:     "vault",
		Schema:   schema,
		Evidence: v.evidence,
		Jobs: []layer.Job{{Name: "remove streams that no record names", Every: 6 * time.Hour, Run: v.sweepStreams},
			{Name: "overwrite what was erased", Every: time.Hour, Run: v.scrubErased}},
		Erase: v.Erase,
	}
}

// english writes 33000 as 33,000.
var english = message.NewPrinter(language.English)

// evidence counts without keys: that every record names a key that is wrapped
// for somebody. Whether it opens is known only where somebody opened it.
func (v *Vault) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		yield(v.wrapped(ctx))
	}
}

func (v *Vault) wrapped(ctx context.Context) (layer.Evidence, error) {
	now := v.Now()
	e := layer.Evidence{Claim: "vault.wrapped", Place: layer.Records, State: layer.Safe, Seen: now, Until: now.Add(24 * time.Hour), Page: "/patients"}
	var patients, records, orphans int
	err := v.DB.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM vault_patients), (SELECT count(*) FROM vault_records),
		(SELECT count(*) FROM vault_records r WHERE NOT EXISTS (SELECT 1 FROM vault_wraps w WHERE w.patient = r.patient AND w.part = r.part AND w.version >= r.keyed))`).
		Scan(&patients, &records, &orphans)
	if err != nil {
		return layer.Evidence{Claim: e.Claim, Place: e.Place}, fmt.Errorf("count records: %w", err)
	}
	if orphans > 0 {
		e.State = layer.Urgent
		e.Text = english.Sprintf("%d of %d records have lost their key. Bring the house back from a backup.", orphans, records)
		e.Why = "Rows of keys are missing from the database."
		return e, nil
	}
	e.Text = english.Sprintf("Sealed here: %d patients, %d records, each under a key that a care team holds.", patients, records)
	return e, nil
}

// sweepStreams removes sealed streams that were written by an act that did not
// come to its end. A stream younger than a day may belong to one that goes on.
func (v *Vault) sweepStreams(ctx context.Context) error {
	old := v.Now().Add(-24 * time.Hour)
	for b, err := range v.Blobs.List(ctx, "") {
		if err != nil {
			return fmt.Errorf("list streams: %w", err)
		}
		if b.Modified.After(old) {
			continue
		}
		var named bool
		if err := v.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM vault_records WHERE blob = $1)`, b.Name).Scan(&named); err != nil {
			return fmt.Errorf("look for a stream's record: %w", err)
		}
		if named {
			continue
		}
		if err := v.Blobs.Delete(ctx, b.Name); err != nil {
			return fmt.Errorf("remove a stream: %w", err)
		}
	}
	return nil
}
