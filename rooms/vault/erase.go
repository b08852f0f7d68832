package vault

import (
	"context"
	"fmt"
	"slices"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
)

// Erasing a patient takes every key away first: whatever copy of a record is
// left somewhere has nothing that opens it. Backups keep copies of keys for 35
// days; the list of the erased goes with each of them, and every restoration
// applies it (Bury) before anybody can open the house.

// erased is the kind of the fact that stays.
const erased = "vault.erased"

// patientTables hold rows of one patient. Rows of the directory's tail are
// vouched for by facts over several patients, so they go with the merge.
var patientTables = []string{"vault_wraps", "vault_older", "vault_care", "vault_index", "vault_records", "vault_patients"}

// Erase takes a patient out of the vault: all versions of all keys, all records,
// and what the directory shows. It needs no keys. Rows go with the transaction,
// streams after it, and what a crash leaves of these is swept in a day. The name
// is shown no more at once, and leaves the sealed directory with its next merge,
// which the next change of any name makes, or Tidy.
func (v *Vault) Erase(ctx context.Context, tx *store.Tx, p id.Patient) error {
	fail := func(err error) error { return fmt.Errorf("erase patient %s: %w", p, err) }
	rows, err := tx.QueryContext(ctx, `SELECT blob FROM vault_records WHERE patient = $1 AND blob <> ''`, p)
	if err != nil {
		return fail(err)
	}
	var streams []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return fail(err)
		}
		streams = append(streams, name)
	}
	if err := rows.Close(); err != nil {
		return fail(err)
	}
	for _, table := range patientTables {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE patient = $1`, p); err != nil {
			return fail(err)
		}
	}
	gone := []sealedEntry{{patient: p, box: []byte{}}} // a change with an empty box: there is nothing to show any more
	if err := v.dir.write(ctx, tx, v.Now(), gone); err != nil {
		return fail(err)
	}
	if err := ledger.Append(ctx, tx, ledger.Fact{At: v.Now(), Actor: id.From(ctx), Kind: erased, Subject: string(p)}); err != nil {
		return err
	}
	tx.OnCommit(func() {
		v.dir.take(gone)
		v.rows.forget()
		for _, name := range streams {
			v.Blobs.Delete(context.WithoutCancel(ctx), name) // what is left is swept
		}
	})
	return nil
}

// Tidy merges the directory where somebody was erased from it. It needs the keys
// of somebody who may know names.
func (v *Vault) Tidy(ctx context.Context) error {
	all, err := v.teams(ctx)
	if err != nil {
		return err
	}
	return v.merge(ctx, all)
}

// Erased lists who was erased, ever.
func (v *Vault) Erased(ctx context.Context) (list []id.Patient, err error) {
	for e, err := range v.Ledger.Facts(ctx, ledger.Query{Kinds: []string{erased}}) {
		if err != nil {
			return nil, err
		}
		list = append(list, id.Patient(e.Subject))
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// Bury erases whoever of a list is still here: after a restoration, before the
// house is opened to anybody.
func (v *Vault) Bury(ctx context.Context, list []id.Patient) (buried int, err error) {
	for _, p := range list {
		var here bool
		if err := v.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM vault_patients WHERE patient = $1) OR EXISTS (SELECT 1 FROM vault_wraps WHERE patient = $1)`, p).Scan(&here); err != nil {
			return buried, err
		}
		if !here {
			continue
		}
		if err := v.DB.Update(ctx, func(tx *store.Tx) error { return v.Erase(ctx, tx, p) }); err != nil {
			return buried, err
		}
		buried++
	}
	return buried, v.DB.Scrub(ctx)
}

// rewritten is the kind of the fact that the files hold nothing of the erased any
// more. Its reason is "log" where PostgreSQL's own log could not be turned over.
const rewritten = "vault.rewritten"

// scrubErased overwrites what was deleted, within the hour after somebody was
// erased: SQLite folds its log in, PostgreSQL writes the tables of keys anew. It
// tries again each hour until it is done.
func (v *Vault) scrubErased(ctx context.Context) error {
	for e, err := range v.Ledger.Facts(ctx, ledger.Query{Kinds: []string{erased, rewritten}, Newest: true, Limit: 1}) {
		if err != nil || e.Kind == rewritten {
			return err
		}
		turned, err := v.DB.Rewrite(ctx, patientTables...)
		if err != nil {
			return err
		}
		f := ledger.Fact{At: v.Now(), Kind: rewritten}
		if !turned {
			f.Reason = "log"
		}
		return v.DB.Update(ctx, func(tx *store.Tx) error { return ledger.Append(ctx, tx, f) })
	}
	return nil
}

// MissingStreams counts the records whose sealed stream does not lie where it
// should. It needs no keys.
func (v *Vault) MissingStreams(ctx context.Context) (missing int, err error) {
	have := map[string]bool{}
	for b, err := range v.Blobs.List(ctx, "") {
		if err != nil {
			return 0, err
		}
		have[b.Name] = true
	}
	rows, err := v.DB.QueryContext(ctx, `SELECT blob FROM vault_records WHERE blob <> ''`)
	if err != nil {
		return 0, fmt.Errorf("list streams: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return 0, fmt.Errorf("list streams: %w", err)
		}
		if !have[name] {
			missing++
		}
	}
	return missing, rows.Err()
}

// MissingKeys counts the records whose key is wrapped for nobody.
func (v *Vault) MissingKeys(ctx context.Context) (missing int, err error) {
	err = v.DB.QueryRowContext(ctx, `SELECT count(*) FROM vault_records r WHERE NOT EXISTS
		(SELECT 1 FROM vault_wraps w WHERE w.patient = r.patient AND w.part = r.part AND w.version >= r.keyed)`).Scan(&missing)
	return missing, err
}
